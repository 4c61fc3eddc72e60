use super::*;

fn parse(text: &str) -> GpioSettings {
    toml::from_str(text).expect(text)
}

#[test]
fn the_example_is_sound_and_the_rest_are_defaults() {
    // These tables are the last.
    let text = include_str!("../../../../deploy/topgraft.toml");
    let text = &text[text.find("[gpio]").expect("is there")..];
    let all: String = text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
    assert_eq!(parse(text), GpioSettings::default());
    assert!(parse(text).is_empty() && parse("").is_empty());
    let settings = parse(&all);
    settings.check().expect("is sound");
    assert_eq!(settings.gpio, ChipSettings::default());
    assert_eq!(settings.button[0].role(), Some(Role::Class("cat".to_owned())));
    assert_eq!(settings.button.last().and_then(ButtonSettings::role), Some(Role::Undo));
    assert!(settings.button.iter().all(|button| button.active == Active::Low));
    assert!(settings.light.iter().all(|light| light.active == Active::High));
    for shows in [Shows::Class("cat".to_owned()), Shows::Unknown, Shows::Drift, Shows::Teaching] {
        assert!(settings.light.iter().any(|light| light.shows().as_ref() == Some(&shows)), "{shows:?}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, expected) in [
        ("[gpio]\nchip = 'gpiochip0'", "[gpio] chip = \"gpiochip0\" is not \"auto\" or a path"),
        ("[gpio]\ndebounce = -0.1", "[gpio] debounce = -0.1 is not within 0 and 1 seconds"),
        ("[gpio]\ndebounce = nan", "[gpio] debounce = NaN is not"),
        ("[gpio]\ndebounce = 20", "[gpio] debounce = 20 is not"),
        ("[[button]]\ngpio = 54\nundo = true", "[[button]] gpio = 54: a Raspberry Pi has GPIO 0 to 53"),
        ("[[light]]\ngpio = 99\ndrift = true", "[[light]] gpio = 99: a Raspberry Pi has"),
        ("[[button]]\ngpio = 1", "[[button]] gpio = 1: give it either a class or undo = true"),
        ("[[button]]\ngpio = 1\nclass = 'a'\nundo = true", "[[button]] gpio = 1: give it either"),
        ("[[light]]\ngpio = 1\ndrift = false", "[[light]] gpio = 1: give it one of class"),
        ("[[light]]\ngpio = 1\ndrift = true\nteaching = true", "[[light]] gpio = 1: give it one of"),
        ("[[light]]\ngpio = 1\nclass = 'a'\nteaching = true", "[[light]] gpio = 1: give it one of"),
        ("[[button]]\ngpio = 1\nclass = ''", "[[button]] gpio = 1: `` cannot be the name of a class: it is empty"),
        ("[[button]]\ngpio = 1\nclass = 'unknown'", "[[button]] gpio = 1: `unknown` cannot be the name"),
        ("[[light]]\ngpio = 1\nclass = 'a/b'", "[[light]] gpio = 1: `a/b` cannot be the name"),
        (
            "[[button]]\ngpio = 9\nclass = 'cat'\n[[light]]\ngpio = 9\nclass = 'cat'",
            "gpio = 9 is both the button of `cat` and the light of `cat`; give each its own",
        ),
        (
            "[[button]]\ngpio = 9\nundo = true\n[[button]]\ngpio = 9\nclass = \"a`\\u007f\"",
            "[[button]] gpio = 9: `a`\\u{7f}` cannot be the name of a class: it has control",
        ),
        (
            "[[light]]\ngpio = 9\ndrift = true\n[[light]]\ngpio = 9\nteaching = true",
            "gpio = 9 is both the light of drift and the light of teaching",
        ),
    ] {
        let message = parse(text).check().expect_err(text).to_string();
        assert!(message.starts_with(expected) && !message.contains('\n'), "{text:?}: {message}");
    }
}

#[test]
fn what_there_is_not_is_refused() {
    for text in [
        "[gpio]\nbounce = 1",
        "[[button]]\ngpio = 1\nclas = 'cat'",
        "[[button]]\nclass = 'cat'",
        "[[button]]\ngpio = -1\nundo = true",
        "[[button]]\ngpio = 1\nundo = true\nactive = 'up'",
        "[[light]]\ngpio = 1\nundo = true",
        "[[lamp]]\ngpio = 1",
    ] {
        assert!(toml::from_str::<GpioSettings>(text).is_err(), "{text}");
    }
}

#[test]
fn two_buttons_and_two_lights_may_be_of_one_class() {
    let button = |gpio| format!("[[button]]\ngpio = {gpio}\nclass = 'cat'\n");
    let light = |gpio| format!("[[light]]\ngpio = {gpio}\nclass = 'cat'\nactive = 'low'\n");
    assert_eq!(parse(&(button(0) + &button(53) + &light(1) + &light(2))).check(), Ok(()));
}
