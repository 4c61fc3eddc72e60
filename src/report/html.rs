//! The page: one file that asks for no other.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Looks of the page, light or dark as the reader's system is, in one column on a phone.
const STYLE: &str = include_str!("style.css");

/// A page in the making. Every text that it is given is escaped.
pub(super) struct Page {
    html: String,
}

impl Page {
    pub fn new(title: &str) -> Self {
        let title = escaped(title);
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        );
        Self { html }
    }

    pub fn heading(&mut self, text: &str) {
        self.element("h2", "", text);
    }

    pub fn paragraph(&mut self, text: &str) {
        self.element("p", "", text);
    }

    /// Lesser text.
    pub fn note(&mut self, text: &str) {
        self.element("p", "note", text);
    }

    /// Figures that stand out: a number, what it is, and more about it.
    pub fn figures(&mut self, figures: &[(String, String, String)]) {
        self.html.push_str("<dl class=\"figures\">\n");
        for (number, name, more) in figures {
            self.html.push_str("<div>");
            self.element("dt", "", name);
            self.element("dd", "number", number);
            self.element("dd", "note", more);
            self.html.push_str("</div>\n");
        }
        self.html.push_str("</dl>\n");
    }

    /// A list of a word each, and a sentence about it.
    pub fn verdicts(&mut self, verdicts: &[(String, String)]) {
        self.html.push_str("<ul class=\"verdicts\">\n");
        for (word, sentence) in verdicts {
            self.html.push_str("<li>");
            self.element("strong", "", word);
            self.html.push(' ');
            self.element("span", "", sentence);
            self.html.push_str("</li>\n");
        }
        self.html.push_str("</ul>\n");
    }

    /// A PNG for light and one for dark pages, of `width` x `height` pixels.
    pub fn chart(&mut self, [light, dark]: [&[u8]; 2], [width, height]: [u32; 2], description: &str) {
        let [light, dark] = [light, dark].map(|png| STANDARD.encode(png));
        let description = escaped(description);
        let _ = writeln!(
            self.html,
            "<figure><picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"data:image/png;base64,{dark}\">\
             <img src=\"data:image/png;base64,{light}\" width=\"{width}\" height=\"{height}\" alt=\"{description}\">\
             </picture></figure>"
        );
    }

    /// A table; columns of numbers are to the right. `summary`: what a reader opens it by, if it is not open.
    pub fn table(&mut self, summary: Option<&str>, heading: &[&str], rows: &[Vec<String>], numbers_from: usize) {
        if let Some(summary) = summary {
            self.html.push_str("<details>");
            self.element("summary", "", summary);
        }
        self.html.push_str("<div class=\"table\"><table>\n<thead><tr>");
        let class = |column: usize| match column {
            _ if column >= numbers_from => "number",
            // A row's number.
            0 if heading.first() == Some(&"") => "",
            _ => "name",
        };
        heading.iter().enumerate().for_each(|(column, text)| self.element("th", class(column), text));
        self.html.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.html.push_str("<tr>");
            row.iter().enumerate().for_each(|(column, text)| self.element("td", class(column), text));
            self.html.push_str("</tr>\n");
        }
        self.html.push_str("</tbody></table></div>\n");
        if summary.is_some() {
            self.html.push_str("</details>\n");
        }
    }

    /// Small pictures with some lines below each.
    pub fn gallery(&mut self, photos: impl Iterator<Item = GalleryPhoto>) {
        self.html.push_str("<ul class=\"gallery\">\n");
        for GalleryPhoto { picture, lines } in photos {
            self.html.push_str("<li>");
            match picture {
                Some((jpeg, [width, height])) => {
                    let jpeg = STANDARD.encode(jpeg);
                    let _ = write!(
                        self.html,
                        "<img src=\"data:image/jpeg;base64,{jpeg}\" width=\"{width}\" height=\"{height}\" alt=\"{}\">",
                        escaped(&lines[0])
                    );
                }
                None => self.element("span", "missing", "cannot be read any more"),
            }
            for (line, class) in lines.iter().zip(["file", "", "note"]) {
                self.element("span", class, line);
            }
            self.html.push_str("</li>\n");
        }
        self.html.push_str("</ul>\n");
    }

    fn element(&mut self, name: &str, class: &str, text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let end = if name.starts_with(['h', 'p']) { "\n" } else { "" };
        let _ = write!(self.html, "<{name}{class}>{}</{name}>{end}", escaped(text));
    }

    /// The whole page.
    pub fn finish(mut self) -> Vec<u8> {
        self.html.push_str("</main>\n</body>\n</html>\n");
        self.html.into_bytes()
    }
}

/// A photo of [`Page::gallery`].
pub(super) struct GalleryPhoto {
    /// JPEG, and its width and height in pixels.
    pub picture: Option<(Vec<u8>, [u32; 2])>,
    /// File, classes, probability.
    pub lines: [String; 3],
}

/// A text as it may stand between tags and in a quoted attribute. Control characters, which HTML forbids, become spaces; names
/// are shown with theirs by [`shown`](super::text::shown).
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(escaped("a < b & \"c\" > 'd'\u{0}\n"), "a &lt; b &amp; &quot;c&quot; &gt; &#39;d&#39;  ");
        let evil = "</title><script>alert(1)</script>\" onerror='x' &lt;";
        let mut page = Page::new(evil);
        page.heading(evil);
        page.paragraph(evil);
        page.note(evil);
        page.figures(&[(evil.into(), evil.into(), evil.into())]);
        page.verdicts(&[(evil.into(), evil.into())]);
        page.chart([b"png", b"png"], [10, 20], evil);
        page.table(Some(evil), &[evil], &[vec![evil.into()]], 1);
        let lines = || [(); 3].map(|()| evil.to_owned());
        let photos = [Some((b"jpeg".to_vec(), [3, 4])), None];
        page.gallery(photos.into_iter().map(|picture| GalleryPhoto { picture, lines: lines() }));
        let html = String::from_utf8(page.finish()).expect("UTF-8");
        assert!(!html.contains("<script") && !html.contains("\" onerror") && !html.contains("' onerror"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 21);
    }
}
