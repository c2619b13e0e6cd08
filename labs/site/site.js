"use strict";
// The search (INDEX comes from index.js), the menu on small screens, and the formulas.
(() => {
  const up = document.currentScript.dataset.up;
  const box = document.getElementById("search"), list = document.getElementById("found");
  const menu = document.getElementById("menu"), pages = document.getElementById("pages");
  menu.onclick = () => menu.setAttribute("aria-expanded", String(pages.classList.toggle("shown")));
  pages.querySelector("[aria-current]")?.scrollIntoView({block: "center"});
  scrollTo(0, 0);

  /** How well an entry fits the words: 0 where one of them is missing. */
  function score([title, address, kind, text], words) {
    const name = title.toLowerCase(), last = name.split("::").pop(), rest = (kind + " " + text).toLowerCase();
    let total = 0;
    for (const word of words) {
      const points = last === word ? 100 : last.startsWith(word) ? 40 : name.includes(word) ? 20 : rest.includes(word) ? 3 : 0;
      if (!points) return 0;
      total += points;
    }
    return total - name.length / 50 - (last !== name && total < 100 ? 5 : 0);
  }
  function search() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length ? INDEX.map((e) => [score(e, words), e]).filter(([s]) => s > 0).sort((a, b) => b[0] - a[0]).slice(0, 12) : [];
    list.replaceChildren(...found.map(([, [title, address, kind, text]]) => {
      const item = document.createElement("li"), link = document.createElement("a");
      const name = document.createElement("b"), where = document.createElement("i"), some = document.createElement("span");
      const at = text.toLowerCase().indexOf(words[0]);
      name.textContent = title;
      where.textContent = kind;
      some.textContent = at > 60 ? "… " + text.slice(at - 40, at + 80) : text.slice(0, 120);
      link.href = up + address;
      link.append(name, where, some);
      item.append(link);
      return item;
    }));
    if (words.length && !found.length) {
      const item = document.createElement("li");
      item.textContent = "Nothing found.";
      list.append(item);
    }
    list.hidden = !words.length;
  }
  box.oninput = search;
  box.onfocus = search;
  addEventListener("click", (e) => { if (!e.target.closest(".search")) list.hidden = true; });
  addEventListener("keydown", (e) => {
    const links = [...list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    if (e.key === "/" && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) { e.preventDefault(); box.focus(); }
    else if (e.key === "Escape") { list.hidden = true; box.blur(); }
    else if (list.hidden || !links.length) return;
    else if (e.key === "ArrowDown") { e.preventDefault(); (links[at + 1] || links[0]).focus(); }
    else if (e.key === "ArrowUp") { e.preventDefault(); (links[at - 1] || box).focus(); }
    else if (e.key === "Enter" && document.activeElement === box) links[0].click();
  });

  if (window.katex) for (const formula of document.querySelectorAll(".tex")) {
    const text = formula.textContent;
    try { katex.render(formula.dataset.tex, formula, {throwOnError: true}); }
    catch { formula.textContent = text; formula.classList.add("as-text"); }
  }
})();
