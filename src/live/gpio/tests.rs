use std::sync::mpsc;
use std::time::Duration;

use super::fake::{Play, Rig};
use super::*;
use Play::{Edge as On, Fails, Gone, Lost, Numbered, Show, Silent, Stale};

const CAT: u32 = 17;
const DOG: u32 = 27;
const UNDO: u32 = 23;

fn settings() -> GpioSettings {
    let text = "
        button = [{ gpio = 17, class = 'cat' }, { gpio = 27, class = 'dog' }, { gpio = 23, undo = true }]
        light = [{ gpio = 1, class = 'cat' }, { gpio = 2, class = 'unknown' }, { gpio = 3, drift = true }, { gpio = 4, teaching = true }]";
    toml::from_str(text).expect("is sound")
}

fn hold(class: &str) -> Action {
    Action::Hold(Some(class.to_owned()))
}

const NONE: Action = Action::Hold(None);

/// What is asked for until a second after the last that happens, and what is said.
fn played(plan: &[(u64, Play)]) -> (Vec<(u64, Action)>, Vec<String>) {
    let mut rig = Rig::new(settings(), plan);
    let actions = rig.run(plan.last().map_or(0, |(at, _)| *at) + 1000);
    (actions, rig.said())
}

fn asked(plan: &[(u64, Play)]) -> Vec<(u64, Action)> {
    let (actions, said) = played(plan);
    assert_eq!(said, [""; 0]);
    actions
}

#[test]
fn a_class_is_held_as_long_as_its_button() {
    let actions = asked(&[(100, On(CAT, true)), (900, On(CAT, false)), (2000, On(DOG, true)), (2500, On(DOG, false))]);
    assert_eq!(actions, [(100, hold("cat")), (900, NONE), (2000, hold("dog")), (2500, NONE)]);
}

#[test]
fn of_two_the_later_one_wins_and_then_the_first_again() {
    let begin = [(100, On(CAT, true)), (200, On(DOG, true))];
    let later_first = [&begin[..], &[(300, On(DOG, false)), (400, On(CAT, false))]].concat();
    assert_eq!(asked(&later_first), [(100, hold("cat")), (200, hold("dog")), (300, hold("cat")), (400, NONE)]);
    let first_first = [&begin[..], &[(300, On(CAT, false)), (400, On(DOG, false))]].concat();
    assert_eq!(asked(&first_first), [(100, hold("cat")), (200, hold("dog")), (400, NONE)]);
}

#[test]
fn two_buttons_of_one_class_hold_it_once() {
    let mut settings = settings();
    settings.button[1].class = Some("cat".to_owned());
    let plan = [(100, On(CAT, true)), (200, On(DOG, true)), (300, On(CAT, false)), (400, On(DOG, false))];
    assert_eq!(Rig::new(settings, &plan).run(1000), [(100, hold("cat")), (400, NONE)]);
}

#[test]
fn undo_comes_once_a_press_and_not_while_a_class_is_held() {
    let plan = [(100, On(UNDO, true)), (5000, On(UNDO, false)), (6000, On(UNDO, true)), (6100, On(UNDO, false))];
    assert_eq!(asked(&plan), [(100, Action::Undo), (6000, Action::Undo)]);
    // Nor when the class is let go of and it is still pressed.
    let plan = [(100, On(CAT, true)), (200, On(UNDO, true)), (300, On(CAT, false)), (400, On(UNDO, false))];
    assert_eq!(asked(&plan), [(100, hold("cat")), (300, NONE)]);
}

#[test]
fn bouncing_is_one_press() {
    let bounces = |gpio, at: u64, down: bool| (0..7).map(move |i| (at + 2 * i, On(gpio, down == (i % 2 == 0))));
    let plan: Vec<_> =
        bounces(CAT, 100, true).chain(bounces(CAT, 500, false)).chain(bounces(UNDO, 800, true)).collect();
    assert_eq!(asked(&plan), [(100, hold("cat")), (500, NONE), (800, Action::Undo)]);
    // Shorter than it bounces: then it ends with that.
    assert_eq!(asked(&[(100, On(CAT, true)), (105, On(CAT, false))]), [(100, hold("cat")), (120, NONE)]);
}

#[test]
fn what_the_kernel_has_debounced_is_not_taken_for_bouncing() {
    // Two presses that come late, all at once.
    let plan = [true, false, true, false].map(|pressed| (100, On(UNDO, pressed)));
    let mut rig = Rig::new(settings(), &plan);
    rig.board.lock().is_debounced = true;
    assert_eq!(rig.run(1000), [(100, Action::Undo), (100, Action::Undo)]);
    assert_eq!(asked(&plan), [(100, Action::Undo)]);
}

#[test]
fn edges_that_are_lost_leave_nothing_held() {
    // The next edge has not the next number.
    let plan = [(100, On(CAT, true)), (300, Lost(CAT, false)), (400, On(UNDO, true))];
    assert_eq!(asked(&plan), [(100, hold("cat")), (400, NONE), (400, Action::Undo)]);
    // A press that was lost is found, too.
    let plan = [(100, Lost(DOG, true)), (150, On(UNDO, true)), (400, On(DOG, false))];
    assert_eq!(asked(&plan), [(150, hold("dog")), (400, NONE)]);
    // Those that are in the queue still are older than the line.
    let plan = [(100, On(CAT, true)), (300, Lost(UNDO, false)), (300, Stale(CAT, true)), (300, On(CAT, false))];
    assert_eq!(asked(&plan), [(100, hold("cat")), (300, NONE)]);
    let plan = [(100, On(CAT, true)), (200, Lost(CAT, false)), (210, Stale(CAT, true))];
    assert_eq!(asked(&plan), [(100, hold("cat")), (210, NONE)]);
    // The read fails.
    assert_eq!(
        asked(&[(100, On(CAT, true)), (300, Silent(CAT, false)), (310, Fails(1))]),
        [(100, hold("cat")), (310, NONE)]
    );
    // Nothing tells of it.
    let actions = asked(&[(100, On(CAT, true)), (1500, Silent(CAT, false))]);
    assert_eq!(actions[0], (100, hold("cat")));
    assert!(actions.len() == 2 && actions[1].1 == NONE && actions[1].0 <= 2600, "{actions:?}");
}

#[test]
fn the_numbers_of_edges_begin_anew_after_the_last() {
    // Where none is missing, the lines are not read.
    let plan = [(100, On(CAT, true)), (300, Silent(DOG, true)), (400, On(CAT, false))];
    assert_eq!(asked(&plan)[..2], [(100, hold("cat")), (400, NONE)]);
    // Where an edge is missing, a press is found that nothing has told of.
    let plan =
        |number| [(100, On(CAT, true)), (200, Numbered(number)), (300, Silent(DOG, true)), (400, On(CAT, false))];
    assert_eq!(asked(&plan(7)), [(100, hold("cat")), (400, hold("dog"))]);
    let mut plan = plan(u32::MAX - 1).to_vec();
    plan.insert(2, (250, On(UNDO, true)));
    plan.insert(3, (251, On(UNDO, false)));
    assert_eq!(asked(&plan), [(100, hold("cat")), (400, NONE)]);
}

#[test]
fn a_button_that_is_stuck_does_not_count_until_it_was_released() {
    let plan = [(1000, On(CAT, true)), (100_000, On(CAT, false)), (101_000, On(CAT, true)), (102_000, On(CAT, false))];
    let (actions, said) = played(&plan);
    assert_eq!(actions[0], (1000, hold("cat")));
    assert!(actions[1].1 == NONE && (61_000..61_060).contains(&actions[1].0), "{actions:?}");
    assert_eq!(actions[2..], [(101_000, hold("cat")), (102_000, NONE)]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("the button of `cat`, GPIO 17, has been pressed for 60 s: is it stuck"), "{said:?}");
    // Others work meanwhile, and undo does, as nothing is held any more.
    let plan = [(10, On(CAT, true)), (70_000, On(DOG, true)), (71_000, On(DOG, false)), (72_000, On(UNDO, true))];
    assert_eq!(played(&plan).0[2..], [(70_000, hold("dog")), (71_000, NONE), (72_000, Action::Undo)]);
    // Again, and it is said again.
    let plan = [(10, On(CAT, true)), (70_000, On(CAT, false)), (71_000, On(CAT, true)), (140_000, On(CAT, false))];
    assert_eq!(played(&plan).1.len(), 2);
    // A stuck undo button is said, too.
    let (actions, said) = played(&[(10, On(UNDO, true)), (200_000, On(UNDO, false))]);
    assert_eq!(actions, [(10, Action::Undo)]);
    assert!(said.len() == 1 && said[0].starts_with("the undo button, GPIO 23"), "{said:?}");
}

#[test]
fn a_button_that_is_pressed_at_the_start_does_not_count_until_it_was_released() {
    let plan = [
        (0, Silent(CAT, true)),
        (0, Silent(UNDO, true)),
        (500, On(UNDO, false)),
        (600, On(UNDO, true)),
        (1000, On(CAT, false)),
        (2000, On(CAT, true)),
        (3000, On(CAT, false)),
    ];
    assert_eq!(asked(&plan), [(600, Action::Undo), (2000, hold("cat")), (3000, NONE)]);
    // It may be stuck.
    let (actions, said) = played(&[(0, Silent(CAT, true)), (100_000, On(UNDO, false))]);
    assert!(actions.is_empty() && said.len() == 1, "{actions:?} {said:?}");
}

#[test]
fn a_panel_that_fails_lets_go_and_is_tried_again_every_ten_seconds() {
    let plan = [
        (100, On(CAT, true)),
        (500, Gone(Some("unplugged"))),
        (25_000, Gone(None)),
        (40_000, On(CAT, false)),
        (41_000, On(DOG, true)),
        (42_000, On(DOG, false)),
    ];
    let mut rig = Rig::new(settings(), &plan);
    // The button is still pressed when the lines are there again: it does not go on by itself.
    assert_eq!(rig.run(43_000), [(100, hold("cat")), (500, NONE), (41_000, hold("dog")), (42_000, NONE)]);
    assert_eq!(rig.said(), ["/dev/fake: cannot play: unplugged"]);
    assert_eq!(rig.board.lock().opened, [0, 10, 20, 30]);
}

#[test]
fn a_failure_is_said_once_and_another_one_too() {
    let plan = [
        (0, Gone(Some("first"))),
        (15_000, Gone(Some("second"))),
        (25_000, Gone(Some("first"))),
        (45_000, Gone(None)),
        // Not well for long: no news.
        (55_000, Gone(Some("first"))),
        (65_000, Gone(None)),
        (200_000, Gone(Some("first"))),
        (300_000, Gone(None)),
    ];
    let mut rig = Rig::new(settings(), &plan);
    rig.run(150_000);
    assert_eq!(rig.said(), ["first", "second"].map(|what| format!("/dev/fake: cannot play: {what}")));
    rig.run(310_000);
    assert_eq!(rig.said(), ["/dev/fake: cannot play: first"]);
    assert_eq!(played(&[(10, On(CAT, true)), (100, Fails(2))]).0, [(10, hold("cat")), (100, NONE)]);
}

#[test]
fn lights_show_what_they_are_told() {
    let cat = Lights { label: Some("cat".to_owned()), ..Lights::default() };
    let unknown = Lights { label: Some("unknown".to_owned()), ..Lights::default() };
    let all = Lights { label: Some("dog".to_owned()), unknown: true, drift: true, teaching: false };
    let mut rig = Rig::new(
        settings(),
        &[
            (100, Show(cat.clone())),
            (300, Show(cat)),
            (500, Show(unknown)),
            (600, Show(Lights::default())),
            (700, Show(all)),
            (900, Show(Lights::default())),
        ],
    );
    rig.run(1000);
    let switched: Vec<_> = rig.board.lock().switched.iter().map(|(_, gpio, on)| (*gpio, *on)).collect();
    assert_eq!(switched, [(1, true), (1, false), (2, true), (2, false), (2, true), (3, true), (2, false), (3, false)]);
    assert!(rig.board.lock().switched.iter().all(|(time, ..)| time % 100 <= 50), "within a tick");
}

#[test]
fn the_light_of_teaching_blinks_while_a_class_is_held() {
    let teaching = Lights { teaching: true, ..Lights::default() };
    let plan = [(100, On(CAT, true)), (1000, On(CAT, false)), (2000, Show(teaching)), (2300, Show(Lights::default()))];
    let mut rig = Rig::new(settings(), &plan);
    rig.run(3000);
    let switched = rig.board.lock().switched.clone();
    let expected = [(100, true), (350, false), (600, true), (850, false), (2000, true), (2250, false)];
    assert_eq!(switched.len(), expected.len(), "{switched:?}");
    for ((time, gpio, on), (when, expected)) in switched.iter().zip(expected) {
        assert!(*gpio == 4 && *on == expected && (when..when + 60).contains(time), "{switched:?}");
    }
}

#[test]
fn lights_are_set_again_after_the_lines_were_closed() {
    let cat = Lights { label: Some("cat".to_owned()), ..Lights::default() };
    let mut rig = Rig::new(settings(), &[(0, Show(cat)), (500, Fails(2)), (1000, Silent(CAT, false))]);
    rig.run(11_000);
    let switched: Vec<_> = rig.board.lock().switched.iter().map(|(_, gpio, on)| (*gpio, *on)).collect();
    assert_eq!(switched, [(1, true), (1, false), (1, true)]);
}

#[test]
fn the_end_releases_what_is_held_and_switches_lights_off() {
    let mut rig =
        Rig::new(settings(), &[(100, On(CAT, true)), (200, Show(Lights { drift: true, ..Lights::default() }))]);
    rig.run(300);
    let Rig { board, worker, .. } = rig;
    board.lock().switched.clear();
    drop(worker);
    let state = board.lock();
    assert_eq!(state.actions.iter().map(|(_, action)| action).collect::<Vec<_>>(), [&NONE]);
    let off: Vec<_> = state.switched.iter().map(|(_, gpio, on)| (*gpio, *on)).collect();
    assert!(off.contains(&(3, false)) && off.iter().all(|(_, on)| !on), "{off:?}");
}

/// Whatever is pressed, bounces and is lost: where all is released nothing is held.
#[test]
fn after_all_is_released_nothing_is_held() {
    // SplitMix64.
    let random = |seed: u64| {
        let mut state = seed;
        move |below: u64| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % below
        }
    };
    let mut held = 0;
    for seed in 0..500 {
        let mut random = random(seed);
        let (mut plan, mut at) = (Vec::new(), 0);
        let gpios = [CAT, DOG, UNDO];
        for _ in 0..random(60) {
            at += [0, 1, 5, 30, 300, 3000, 70_000][random(7) as usize];
            let (gpio, pressed) = (gpios[random(3) as usize], random(2) == 0);
            plan.push((
                at,
                match random(14) {
                    0 => Lost(gpio, pressed),
                    1 => Silent(gpio, pressed),
                    2 => Fails(1 + random(2) as u32),
                    3 => Gone((random(3) > 0).then_some("gone")),
                    _ => On(gpio, pressed),
                },
            ));
        }
        // The last edges, some of which are lost.
        for gpio in gpios {
            at += random(30);
            plan.push((at, [On(gpio, false), Lost(gpio, false), Silent(gpio, false)][random(3) as usize].clone()));
        }
        plan.push((at, Gone(None)));
        let mut rig = Rig::new(settings(), &plan);
        rig.board.lock().is_debounced = seed % 2 == 0;
        let actions: Vec<_> = rig.run(at + 2000).into_iter().map(|(_, action)| action).collect();
        let holds: Vec<_> = actions.iter().filter(|action| **action != Action::Undo).collect();
        assert!(holds.last().is_none_or(|last| **last == NONE), "seed {seed}: {plan:?}: {actions:?}");
        assert!(holds.windows(2).all(|pair| pair[0] != pair[1]), "seed {seed}: said twice: {actions:?}");
        let mut is_held = false;
        for action in &actions {
            match action {
                Action::Hold(class) => is_held = class.is_some(),
                Action::Undo => assert!(!is_held, "seed {seed}: {actions:?}"),
            }
        }
        held += holds.len();
        // And then all works again.
        let now = at + 40_000;
        rig.run(now);
        assert!(rig.run(now + 1000).is_empty());
    }
    assert!(held > 1000, "{held}: it was about something");
}

/// Lines that do nothing but to be there; they tell what is switched.
struct Idle(mpsc::Sender<(u32, bool)>);

impl Lines for Idle {
    fn next(&mut self, _: Duration) -> Result<Option<Edge>, GpioError> {
        std::thread::sleep(Duration::from_millis(1));
        Ok(Some(Edge { gpio: CAT, pressed: true, number: 1 }))
    }

    fn set(&mut self, gpio: u32, on: bool) -> Result<(), GpioError> {
        self.0.send((gpio, on)).map_err(|_| GpioError::NotLinux)
    }

    fn pressed(&mut self, _: u32) -> Result<bool, GpioError> {
        Ok(false)
    }
}

#[test]
fn a_panel_runs_on_its_thread_until_it_is_dropped() {
    let long = Duration::from_secs(20);
    let ((lights, switched), (act, acted)) = (mpsc::channel(), mpsc::channel());
    let open = move |_: &GpioSettings| Ok(Box::new(Idle(lights.clone())) as Box<dyn Lines>);
    let panel = Panel::with(settings(), open, move |action| drop(act.send(action))).expect("starts");
    assert_eq!(acted.recv_timeout(long), Ok(hold("cat")));
    panel.show(Lights { drift: true, ..Lights::default() });
    while switched.recv_timeout(long).expect("is switched") != (3, true) {}
    assert_eq!(panel.messages(), [""; 0]);
    drop(panel);
    assert_eq!(acted.iter().last(), Some(NONE));
    let off: Vec<_> = switched.iter().collect();
    assert!(off.contains(&(3, false)), "{off:?}");
}

#[test]
fn wrong_settings_do_not_start_and_a_panic_is_told() {
    let twice = GpioSettings { button: [&settings().button[..1], &settings().button[..1]].concat(), ..settings() };
    assert!(matches!(Panel::start(twice, drop), Err(GpioError::Settings(GpioFault::Twice { gpio: CAT, .. }))));

    let (lights, _) = mpsc::channel();
    let open = move |_: &GpioSettings| Ok(Box::new(Idle(lights.clone())) as Box<dyn Lines>);
    let (begun, is_begun) = mpsc::channel::<()>();
    let act = move |_| {
        let _begun = &begun;
        std::panic::resume_unwind(Box::new("of the test"))
    };
    let panel = Panel::with(settings(), open, act).expect("starts");
    // It is closed when the thread has dropped what it called.
    assert!(
        is_begun
            .recv_timeout(Duration::from_secs(20))
            .is_err_and(|error| error == mpsc::RecvTimeoutError::Disconnected)
    );
    assert!(panel.messages().iter().any(|why| why.contains("a fault of the program")));
}

/// Where there is no chip, that is said, and nothing else happens.
#[cfg(target_os = "linux")]
#[test]
fn without_a_chip_it_is_said() {
    let chip = "/nowhere/gpiochip0".to_owned();
    let settings = GpioSettings { gpio: ChipSettings { chip, ..ChipSettings::default() }, ..settings() };
    let error = CharacterDevice::open(&settings).map(drop).expect_err("is not there").to_string();
    let panel = Panel::start(settings, |_| unreachable!("nothing is pressed")).expect("starts");
    let said = (0..10_000).find_map(|_| {
        panel.messages().pop().or_else(|| {
            std::thread::sleep(Duration::from_millis(2));
            None
        })
    });
    assert_eq!(said, Some(error));
}
