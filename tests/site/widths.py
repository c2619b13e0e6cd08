"""widths.py ROOT SITE: no page of the texts is wider than a phone or a tablet, light or dark; what is wide scrolls in itself."""

import sys
from pathlib import Path

root, site = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
sys.path.insert(0, str(root / "tests" / "page"))
from chromium import Chromium, find  # noqa: E402

if not (program := find()):
    sys.exit(print("skipped: no Chromium here (package chromium)"))
if not (site / "index.html").is_file():
    sys.exit(print(f"skipped: {site} has not been made (site/links)"))
pages = sorted(p for p in site.rglob("*.html") if p.parent.name != "step" and (p.parent.name != "reference" or p.stem == "index"))
wrong = []
browser = Chromium(program)
try:
    for page in pages:
        for width, height, mobile in ((820, 1180, False), (390, 844, True)):
            browser("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
            browser.open(page.as_uri())
            browser.js("document.fonts.ready.then(() => true)")
            if (wide := browser.js("document.documentElement.scrollWidth")) > width:
                wrong.append(f"{page.relative_to(site)}: {wide} pixels wide on a screen of {width}")
finally:
    browser.close()
print(f"{len(pages)} pages")
sys.exit("\n".join(wrong) if wrong else len(pages) < 20)
