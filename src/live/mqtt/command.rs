//! What the broker may ask for.

use super::inbox::Message;

/// The longest payload of a command, in bytes.
const MAX_COMMAND: usize = 1024;
/// How much of a command that is none is shown, in characters.
const SHOWN: usize = 40;

/// Payload of `command/NAME` -> what is asked for.
pub(super) fn parse(name: &str, payload: &[u8]) -> Message {
    match read(name, payload) {
        Ok(message) => message,
        Err(what) => Message::BadCommand(what),
    }
}

fn read(name: &str, payload: &[u8]) -> Result<Message, String> {
    if payload.len() > MAX_COMMAND {
        return Err(format!("`{}` with {} bytes; {MAX_COMMAND} are the most", shown(name), payload.len()));
    }
    let text =
        std::str::from_utf8(payload).map_err(|_| format!("`{}` with something that is not UTF-8 text", shown(name)))?;
    match name {
        "teach" if text.is_empty() => Err("`teach` without a class; give its name".to_owned()),
        "teach" if text.contains(char::is_control) => {
            Err(format!("`teach` of `{}`, which has a control character; give a class", shown(text)))
        }
        "teach" => Ok(Message::Teach(text.to_owned())),
        "undo" => Ok(Message::Undo),
        "roll-back" => match (text.trim(), text.trim().parse()) {
            ("before", _) => Ok(Message::RollBack(None)),
            (_, Ok(version)) => Ok(Message::RollBack(Some(version))),
            _ => Err(format!("`roll-back` to `{}`; give a version of the head, or `before`", shown(text))),
        },
        _ => Err(format!("`{}` is no command; there are teach, undo and roll-back", shown(name))),
    }
}

/// A foreign text, as a part of one line.
pub(super) fn shown(text: &str) -> String {
    cut(text, SHOWN)
}

/// So many characters of a text, as a part of one line.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).flat_map(char::escape_debug).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        assert_eq!(parse("teach", "Küche 🐈".as_bytes()), Message::Teach("Küche 🐈".into()));
        assert_eq!(parse("undo", b"PRESS"), Message::Undo);
        assert_eq!(parse("undo", b""), Message::Undo);
        assert_eq!(parse("roll-back", b" 4\n"), Message::RollBack(Some(4)));
        assert_eq!(parse("roll-back", b"before"), Message::RollBack(None));
    }

    #[test]
    fn what_is_no_command_is_one_line() {
        let cases: [(&str, &[u8], &str); 8] = [
            ("teach", b"", "without a class"),
            ("teach", b"a\nb", "`a\\nb`, which has a control character"),
            ("teach", b"\xff", "not UTF-8"),
            ("teach", &[b'x'; 1025], "1025 bytes"),
            ("roll-back", b"", "give a version"),
            ("roll-back", b"9223372036854775808", "give a version"),
            ("un\ndo", b"", "`un\\ndo` is no command"),
            ("x", b"", "there are teach"),
        ];
        for (name, payload, expected) in cases {
            let Message::BadCommand(line) = parse(name, payload) else { panic!("{name}") };
            assert!(line.contains(expected) && !line.contains('\n') && line.len() < 300, "{line}");
        }
        assert_eq!(shown(&"ä".repeat(41)), format!("{}…", "ä".repeat(40)));
    }
}
