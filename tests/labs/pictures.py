"""python3 pictures.py FOLDER: the pictures that the labs drew into FOLDER/LAB/NAME.svg, measured in a headless Chromium.

No text is cut off or lies on another one, a legend or a title; the digits that were misread have frames, the others none.
Where the browser is missing, or gnuplot was, it says "skipped:" and why.
"""

import pathlib
import re
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent / "page"))
import chromium  # noqa: E402

MEASURE = """(() => {
  const wrong = [], all = [...document.querySelectorAll('text')].filter(t => t.textContent.trim());
  const box = e => e.getBoundingClientRect(), picture = box(document.documentElement);
  const name = e => `'${e.textContent.trim()}'`;
  const frames = [...document.querySelectorAll('path')].filter(p => /85/.test(p.getAttribute('stroke') || '')).map(box).filter(b => b.width > 200 && b.height > 150);
  all.forEach((a, i) => {
    const p = box(a);
    if (p.left < picture.left || p.right > picture.right || p.top < picture.top || p.bottom > picture.bottom) wrong.push(`${name(a)} is cut off`);
    for (const f of frames)  // a bar's number may stand there, and nothing else
      if (!/^[\\d.]+$/.test(a.textContent.trim()) && Math.min(p.right, f.right) - Math.max(p.left, f.left) > 3 && Math.min(p.bottom, f.bottom) - Math.max(p.top, f.top) > 4)
        wrong.push(`${name(a)} lies on the plot`);
    for (const b of all.slice(i + 1)) {
      const q = box(b);
      if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 3)
        wrong.push(`${name(a)} lies on ${name(b)}`);
    }
  });
  return {wrong, texts: all.map(t => t.textContent.trim())};
})()"""
FRAMES = r"""[...document.querySelectorAll('[stroke]')].filter(e => /213,\s*94,\s*0|d55e00/i.test(e.getAttribute('stroke')))
  .filter(e => Number(getComputedStyle(e).strokeWidth.replace('px', '')) >= 4).length"""


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    pictures = sorted(folder.glob("*/*.svg"))
    if not pictures:
        print("skipped: no pictures, as without gnuplot")
        return 77
    program = chromium.find()
    if not program:
        print("skipped: no Chromium here (package chromium)")
        return 77
    try:
        browser = chromium.Chromium(program)
    except (RuntimeError, OSError) as error:
        print(f"skipped: {program} does not start here: {error}")
        return 77
    wrong = []
    try:
        for path in pictures:
            browser.open(path.as_uri())
            found = browser.js(MEASURE)
            where = path.relative_to(folder)
            wrong += [f"{where}: {what}" for what in found["wrong"]]
            if not found["texts"]:
                wrong.append(f"{where}: no text at all")
            read = [m for t in found["texts"] if (m := re.fullmatch(r"(\d), read as (\d)", t))]
            frames = browser.js(FRAMES)
            if read and frames != sum(m[1] != m[2] for m in read):
                wrong.append(f"{where}: {frames} frames for {sum(m[1] != m[2] for m in read)} misread digits")
    finally:
        browser.close()
    print("\n".join(wrong))
    print(f"{len(pictures)} pictures, {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
