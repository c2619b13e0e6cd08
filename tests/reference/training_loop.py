"""Plain training in PyTorch, on shuffled batches."""

from torch.utils.data import DataLoader, TensorDataset


def epochs(net, loss, optimizer, x, target, batch_size, count):
    """Trains for `count` epochs and yields each one's mean loss when it is over."""
    loader = DataLoader(TensorDataset(x, target), batch_size=batch_size, shuffle=True)
    for _ in range(count):
        total = 0.0
        for some, wanted in loader:
            value = loss(net(some), wanted)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item() * len(some)
        yield total / len(x)
