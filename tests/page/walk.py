#!/usr/bin/env python3
"""Walks the page of a running `topgraft serve` in a browser, as a user would, and looks at it at the end.

    walk.py http://127.0.0.1:PORT --photo FILE [--token T] [--scene-file FILE] [--names a,b,c] [--axe axe.min.js] [--strict] --shots FOLDER

The store must be empty. It needs what tests/requirements.txt lists, and Debian's chromium; exit status 1 and one line say what is not as it should be.
"""
import argparse
import os
import re
import sys
from pathlib import Path

from playwright.sync_api import Error, expect, sync_playwright

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
MEASURED_MS = 60_000


class Wrong(Exception):
    pass


def demand(is_so, message):
    if not is_so:
        raise Wrong(message)


class Walk:
    def __init__(self, page, options):
        self.page, self.options = page, options
        self.names = options.names.split(",")
        self.complaints = []
        page.on("console", lambda message: message.type in ("error", "warning") and self.complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        self.is_held = None
        page.on("request", self.hears)
        page.on("request", lambda request: self.is_ours(request.url) or self.complaints.append(f"foreign request: {request.url}"))
        page.add_init_script("document.addEventListener('securitypolicyviolation', e => console.error('CSP violation: ' + e.violatedDirective + ' ' + e.blockedURI))")

    def hears(self, request):
        """Whether the page has told the device that a class is held."""
        if request.method == "PUT" and request.url.endswith("/api/hold"):
            self.is_held = request.post_data_json["class"] is not None

    def is_ours(self, url):
        return url.startswith((self.options.url.rstrip("/") + "/", "blob:", "data:"))

    # ---- what there is on the page ----
    def row(self, name):
        return self.page.get_by_role("region", name="Classes").get_by_role("listitem").filter(has=self.page.get_by_role("heading", name=name, exact=True))

    def teach_button(self, name):
        return self.row(name).get_by_role("button", name=f"Hold to teach {name}", exact=True)

    def count_button(self, name):
        return self.row(name).get_by_role("button", name=re.compile(rf"^[\d,]+ samples? of {re.escape(name)}$"))

    def samples(self, name):
        return int(self.count_button(name).inner_text().split()[0].replace(",", ""))

    def until(self, is_so, message, timeout=10_000):
        """Playwright's own wait_for_function evaluates text within the page, which the page's policy forbids."""
        for _ in range(timeout // 50):
            if is_so():
                return
            self.page.wait_for_timeout(50)
        raise Wrong(message)

    def frame(self):
        return int((re.search(r"frame (\d+)", self.page.locator("#details").inner_text()) or [0, 0])[1])

    def next_frames(self, count):
        last = self.frame() + count
        self.until(lambda: self.frame() >= last, "no frames come from the camera", 60_000)

    def is_loaded(self, selector):
        self.until(lambda: self.page.evaluate("which => [...document.querySelectorAll(which)].slice(0, 3).reduce((all, image) => all && image.naturalWidth > 0, document.querySelector(which) !== null)", selector),
                   f"an image is not loaded: {selector}")

    def scene(self, number):
        if self.options.scene_file:
            beside = Path(self.options.scene_file + ".new")
            beside.write_text(str(number))
            beside.rename(self.options.scene_file)
            self.next_frames(5)

    def open(self, title):
        heading = self.page.get_by_role("heading", name=title, exact=True)
        if not heading.locator("xpath=ancestor::details").get_attribute("open") == "":
            heading.click()
        return heading.locator("xpath=ancestor::details")

    def shot(self, name, **options):
        if self.options.shots:
            self.page.screenshot(path=Path(self.options.shots) / f"{name}.png", **options)

    # ---- the walk, step by step ----
    def log_in(self):
        self.page.goto(self.options.url)
        if self.options.token:
            field = self.page.get_by_label("Token")
            field.fill("certainly wrong")
            self.page.get_by_role("button", name="Log in").click()
            expect(self.page.get_by_role("alert").filter(has_text=re.compile("."))).to_be_visible()
            self.complaints = [one for one in self.complaints if "401" not in one]  # Chromium reports each of them
            self.page.goto(f"{self.options.url}#token={self.options.token}")
            self.page.reload()
            expect(self.page.get_by_role("region", name="Classes")).to_be_visible()
            demand("token" not in self.page.url, "the token is still in the address bar")

    def see_the_picture(self):
        picture = self.page.get_by_role("img", name="Live picture of the camera")
        expect(picture).to_be_visible()
        self.is_loaded("#picture")
        expect(self.page.locator("#details")).to_contain_text("fps")
        expect(self.page.get_by_role("button", name="Nothing to undo")).to_be_disabled()

    def add_classes(self):
        for name in self.names:
            self.page.get_by_label("New class").fill(name)
            self.page.get_by_role("button", name="Add class").click()
            expect(self.count_button(name)).to_have_text(f"0 samples of {name}")
        self.page.get_by_label("New class").fill("unknown")
        self.page.get_by_role("button", name="Add class").click()
        expect(self.page.get_by_role("alert").filter(has_text="unknown")).to_be_visible()
        self.page.get_by_label("New class").fill("")
        self.page.reload()
        expect(self.count_button(self.names[2])).to_be_visible()
        self.next_frames(1)

    def teach_by_mouse(self, number, samples=8):
        name = self.names[number]
        self.scene(number)
        button = self.teach_button(name)
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.page.mouse.down()
        expect(self.page.get_by_text(re.compile(f"^Teaching {re.escape(name)}"))).to_be_visible()
        self.until(lambda: self.samples(name) >= samples, f"held by the mouse, `{name}` has not got {samples} samples")
        self.shot(f"teaching-{number}")
        self.page.mouse.up()
        self.stays_ended(name, "after the mouse was released")

    def teach_by_leaving(self):
        """The pointer leaves the button while it is held: that ends it, though the mouse button is still down."""
        name = self.names[0]
        self.scene(0)
        self.teach_button(name).hover()
        self.page.mouse.down()
        expect(self.page.get_by_text(re.compile(f"^Teaching {re.escape(name)}"))).to_be_visible()
        self.page.mouse.move(3, 3)
        self.stays_ended(name, "after the pointer has left the button")
        self.page.mouse.up()

    def teach_and_be_called_away(self):
        """Another window comes to the front, the browser takes the pointer away: neither sends a release."""
        name = self.names[0]
        self.scene(0)
        for what, target in (("blur", "window"), ("visibilitychange", "document"), ("pointercancel", "button")):
            self.teach_button(name).hover()
            self.page.mouse.down()
            expect(self.page.get_by_text(re.compile(f"^Teaching {re.escape(name)}"))).to_be_visible()
            self.teach_button(name).evaluate(f"button => {target}.dispatchEvent(new PointerEvent('{what}', {{ pointerId: 1 }}))")
            self.stays_ended(name, f"after {what}")
            self.page.mouse.up()

    def teach_by_keyboard(self, number, key, samples=8):
        name = self.names[number]
        self.scene(number)
        self.teach_button(name).focus()
        self.page.keyboard.down(key)
        self.page.keyboard.down(key)  # the repeat of a key that is held
        self.until(lambda: self.samples(name) >= samples, f"held by {key}, `{name}` has not got {samples} samples")
        self.page.keyboard.up(key)
        self.stays_ended(name, f"after {key} was released")

    def stays_ended(self, name, when):
        # By the page, and not by the device, which ends it two seconds later.
        self.until(lambda: self.is_held is False, f"the page has not ended the hold {when}")
        expect(self.page.locator("#teaching"), f"`{name}` is still taught {when}").to_be_hidden()
        self.next_frames(10)  # the last of them is counted some time after it was taught
        before = self.samples(name)
        self.next_frames(10)
        demand(self.samples(name) == before, f"`{name}` was taught further {when}")

    def teach_by_tap_and_click(self):
        name = self.names[0]
        self.scene(0)
        self.next_frames(3)
        before = self.samples(name)
        self.teach_button(name).tap() if self.options.touch else self.teach_button(name).click()
        said = self.page.get_by_role("status").filter(has_text=name)
        expect(said).to_be_visible()
        expect(said).to_be_hidden(timeout=10_000)
        self.until(lambda: self.samples(name) <= before + 1, "a tap has taught more than one frame")
        self.next_frames(7)
        self.teach_button(name).evaluate("button => button.click()")  # as a screen reader does
        expect(said).to_be_visible()
        self.next_frames(10)
        demand(before <= self.samples(name) <= before + 2, f"a tap and a click made {self.samples(name) - before} samples")

    def see_what_it_knows(self):
        for number, name in enumerate(self.names):
            self.scene(number)
            if self.options.scene_file:
                expect(self.page.locator("#label")).to_have_text(name, timeout=15_000)
            expect(self.row(name)).to_contain_text(re.compile(r"\d+\s%"))

    def measured(self):
        expect(self.page.get_by_text("Right on left-out samples", exact=True)).to_be_visible(timeout=MEASURED_MS)
        expect(self.page.get_by_text("95 % interval", exact=True)).to_be_visible()
        expect(self.page.get_by_text("Always the largest class", exact=True)).to_be_visible()
        for name in self.names:
            expect(self.page.get_by_role("row", name=re.compile(rf"^{re.escape(name)} \d+ of \d+"))).to_be_visible()

    def look_at_samples(self):
        first, second = self.names[:2]
        self.count_button(first).click()
        tiles = self.row(first).get_by_role("listitem")
        expect(tiles).to_have_count(self.samples(first))
        self.is_loaded(".thumbnail img")
        self.row(first).get_by_role("button", name=re.compile(r"^Sample \d+ of ")).first.click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog.get_by_role("img")).to_be_visible()
        self.is_loaded("#photo-image")
        self.shot("photo")
        before = self.samples(first), self.samples(second)
        dialog.get_by_role("button", name=f"Move to {second}", exact=True).click()
        self.until(lambda: (self.samples(first), self.samples(second)) == (before[0] - 1, before[1] + 1), "the sample that was moved is not counted where it is now")
        self.undo()
        self.until(lambda: (self.samples(first), self.samples(second)) == before, "undo has not moved the sample back")
        self.row(first).get_by_role("button", name=re.compile(r"^Delete sample")).first.click()
        self.until(lambda: self.samples(first) == before[0] - 1, "the sample that was deleted is still counted")
        self.undo()
        self.until(lambda: self.samples(first) == before[0], "undo has not brought the sample back")
        expect(tiles).to_have_count(before[0])
        self.count_button(first).click()

    def undo(self):
        self.page.get_by_role("button", name=re.compile("^Undo: ")).click()
        expect(self.page.get_by_role("status").filter(has_text="Taken back")).to_be_visible()

    def rename(self):
        old, new = self.names[2], f"{self.names[2]} renamed"
        self.count_button(old).click()
        self.row(old).get_by_role("button", name="Rename").click()
        self.page.get_by_role("dialog").get_by_label("Name").fill(new)
        self.page.keyboard.press("Enter")
        expect(self.row(new)).to_be_visible()
        expect(self.row(old)).to_have_count(0)
        self.names[2] = new

    def remove_and_undo(self):
        name = self.names[2]
        samples = self.samples(name)
        self.count_button(name).click()
        self.row(name).get_by_role("button", name="Remove class").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text(f"{samples} sample")
        expect(dialog).to_contain_text("Undo")
        self.shot("remove")
        dialog.get_by_role("button", name="Remove", exact=True).click()
        expect(self.row(name)).to_have_count(0)
        self.undo()
        expect(self.count_button(name)).to_have_text(re.compile(f"^{samples} sample"))

    def upload(self):
        name = self.names[1]
        before = self.samples(name)
        self.count_button(name).click()
        bad = Path(self.options.shots or ".") / "not-a-photo.jpg"
        bad.write_text("not a photo")
        self.row(name).get_by_label("Add photos").set_input_files([self.options.photo, str(bad)])
        expect(self.row(name)).to_contain_text("1 photo of 2 taught", timeout=20_000)
        expect(self.row(name)).to_contain_text("not-a-photo.jpg:")
        bad.unlink()
        self.complaints = [one for one in self.complaints if not re.search(r"status of 4(00|15|22)", one)]  # which was to be
        self.until(lambda: self.samples(name) == before + 1, "the photo that was sent is not counted")
        self.shot("samples")
        self.count_button(name).click()

    def classify(self):
        self.open("Photos of your own").get_by_label("Choose a photo").set_input_files(self.options.photo)
        answer = self.page.locator("#classified")
        expect(answer.get_by_role("listitem").first).to_contain_text("%", timeout=20_000)
        expect(answer.get_by_role("img")).to_be_visible()

    def review(self):
        """Two samples are put where they do not belong, so that there is something to find."""
        right, wrong = self.names[:2]
        self.count_button(right).click()
        for _ in range(2):
            before = self.samples(right)
            self.row(right).get_by_role("button", name=re.compile("^Move sample")).first.click()
            self.page.get_by_role("dialog").get_by_role("button", name=f"Move to {wrong}", exact=True).click()
            self.until(lambda: self.samples(right) == before - 1, "a sample that was moved is still counted")
        self.count_button(right).click()
        section, suspects = self.open("Check the samples"), self.page.get_by_role("button", name="It is right")
        self.check_now(section)
        if self.options.strict:
            expect(suspects).to_have_count(2)
        self.shot("review")
        back = section.get_by_role("button", name=f"Move to {right}", exact=True)
        if back.count():
            before = self.samples(right)
            back.first.click()
            self.until(lambda: self.samples(right) == before + 1, "a suspect that was moved back is not counted")
            expect(section.get_by_text("The samples have changed since")).to_be_visible()
        if count := suspects.count():
            suspects.first.click()
            expect(suspects).to_have_count(count - 1)
            self.check_now(section)
            if self.options.strict:
                expect(suspects).to_have_count(0)

    def check_now(self, section):
        button = section.get_by_role("button", name="Check now")
        button.click()
        expect(button).to_be_enabled(timeout=MEASURED_MS)
        found = section.locator("#review-found")
        expect(found.get_by_role("paragraph").or_(found.get_by_role("heading", level=3)).or_(section.get_by_role("alert")).first).to_be_visible()
        self.complaints = [one for one in self.complaints if "status of 409" not in one]  # too few samples

    def label_what_waits(self):
        section = self.open("Waiting for a label")
        frames = section.get_by_role("listitem")
        if self.options.strict:
            expect(frames.first).to_be_visible(timeout=MEASURED_MS)
        waiting = frames.count()
        if waiting == 0:
            return print("     no frame waits for a label: not checked")
        self.shot("waiting")
        before = self.samples(self.names[1])
        frames.first.get_by_role("button", name=self.names[1], exact=True).click()
        self.until(lambda: self.samples(self.names[1]) == before + 1, "the frame that was labelled is not counted")
        if waiting > 1:
            frames.first.get_by_role("button", name="Drop").click()
            expect(frames).to_have_count(waiting - 2)

    def heads(self):
        section = self.open("Heads and downloads")
        for name, ending in (("Head (.graft)", ".graft"), ("Head (.onnx)", ".onnx"), ("All samples (.store)", ".store")):
            with self.page.expect_download() as download:
                section.get_by_role("link", name=name).click()
            demand(download.value.suggested_filename.endswith(ending), f"the download is called {download.value.suggested_filename}")
            demand(Path(download.value.path()).stat().st_size > 0, f"the download of {ending} is empty")
        with self.page.expect_download() as download:
            section.get_by_role("link", name=re.compile(r"^Download head \d+$")).first.click()
        demand(Path(download.value.path()).stat().st_size > 0, "the download of a version is empty")
        section.get_by_role("button", name=re.compile(r"^Roll back to head \d+$")).last.click()
        self.page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
        expect(self.page.get_by_role("status").filter(has_text="Rolled back")).to_be_visible()
        self.shot("heads")
        self.undo()

    def reload(self):
        before = {name: self.samples(name) for name in self.names}
        self.page.reload()
        for name, samples in before.items():
            expect(self.count_button(name)).to_have_text(re.compile(f"^{samples} sample"))
        self.measured()

    def hides(self):
        """A page that is not looked at takes no picture."""
        self.page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true }); document.dispatchEvent(new Event('visibilitychange'))")
        demand(self.page.locator("#picture").get_attribute("src") == "", "the stream goes on while the page is hidden")
        self.page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
        self.is_loaded("#picture")

    def camera_stops(self):
        """What was seen last is not what is there now, however often the page asks."""
        if not self.options.scene_file:
            return
        status = self.page.locator("#status")
        Path(self.options.scene_file).write_text("off")
        expect(status).to_have_attribute("data-is", "lost", timeout=30_000)
        for _ in range(150):
            demand(status.get_attribute("data-is") == "lost", "a camera that has stopped is shown as live")
            self.page.wait_for_timeout(100)
        self.shot("stopped")
        Path(self.options.scene_file).write_text("1")
        expect(status).to_have_attribute("data-is", "live", timeout=60_000)

    # ---- how it looks ----
    def look(self):
        for size_name, size in (("phone", PHONE), ("desk", DESK)):
            self.page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)
                self.scene(1)
                self.page.evaluate("scrollTo(0, 0)")
                self.is_loaded("#picture")
                self.shot(f"{size_name}-{scheme}")
                self.shot(f"{size_name}-{scheme}-whole", full_page=True)
                self.accessible(f"{size_name}, {scheme}")
        for width in (320, 1920):
            self.page.set_viewport_size({"width": width, "height": 900})
            self.shot(f"{width}")
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            demand(wide <= width, f"at {width} pixels the page is {wide} wide")
        self.page.set_viewport_size(PHONE)
        small = self.page.evaluate("""[...document.querySelectorAll('button, a.button, label.button, nav a, input:not([type=file]), select')]
            .filter(one => one.checkVisibility()).map(one => [one.textContent || one.id, one.getBoundingClientRect()])
            .filter(([, box]) => box.height < 43.5 || box.width < 43.5).map(([name]) => name)""")
        demand(not small, f"too small for a finger: {small}")

    def accessible(self, where):
        if not self.options.axe:
            return
        self.page.evaluate(Path(self.options.axe).read_text() + "; 0")
        found = self.page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
        serious = [f"{one['id']} ({one['nodes'][0]['html'][:120]})" for one in found if one["impact"] in ("serious", "critical")]
        demand(not serious, f"axe, {where}: {'; '.join(serious)}")
        for one in found:
            print(f"     axe, {where}, {one['impact']}: {one['id']}")

    def run(self):
        steps = [self.log_in, self.see_the_picture, self.add_classes, lambda: self.teach_by_mouse(0), lambda: self.teach_by_keyboard(1, " "),
                 lambda: self.teach_by_keyboard(2, "Enter"), self.teach_by_leaving, self.teach_and_be_called_away, self.teach_by_tap_and_click, self.see_what_it_knows, self.measured, self.look_at_samples,
                 self.rename, self.remove_and_undo, self.upload, self.classify, self.measured, self.review, self.label_what_waits, self.measured, self.heads,
                 self.measured, self.reload, self.hides, self.camera_stops, self.look]
        titles = ["log in", "see the picture", "add classes", "teach by mouse", "teach by space", "teach by enter", "leaving ends it", "blur ends it", "tap and click", "labels", "measured",
                  "samples", "rename", "remove and undo", "upload", "classify", "measured", "review", "waiting", "measured", "heads", "measured", "reload", "hidden", "camera stops", "looks"]
        for title, step in zip(titles, steps, strict=True):
            try:
                step()
                demand(not self.complaints, "; ".join(self.complaints))
            except (AssertionError, Error, Wrong) as error:
                self.shot("wrong", full_page=True)
                raise Wrong(f"{title}: {error}") from None
            print(f"ok   {title}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--photo", required=True, help="a photo that is not in the store yet")
    parser.add_argument("--token")
    parser.add_argument("--scene-file", help="before class i is taught, i is written into it")
    parser.add_argument("--names", default="owl,anemone,mandarin", help="three classes, in the order of the scenes")
    parser.add_argument("--axe", help="axe.min.js, as the package axe-playwright-python has it")
    parser.add_argument("--strict", action="store_true", help="fail if no sample is suspect and no frame waits for a label")
    parser.add_argument("--touch", action="store_true", help="tap with a finger where a tap is tested")
    parser.add_argument("--shots", help="folder for screenshots")
    options = parser.parse_args()
    if options.shots:
        Path(options.shots).mkdir(parents=True, exist_ok=True)
        (Path(options.shots) / "wrong.png").unlink(missing_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"] if os.geteuid() == 0 else [])
        context = browser.new_context(viewport=PHONE, has_touch=options.touch, bypass_csp=False)
        try:
            Walk(context.new_page(), options).run()
        except Wrong as wrong:
            print(f"WRONG {wrong}", file=sys.stderr)
            sys.exit(1)
        finally:
            browser.close()


if __name__ == "__main__":
    main()
