use super::*;
use crate::head::argmax;
use crate::kernel::Isa;
use sha2::{Digest, Sha256};
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

/// Two features that only together tell the class: the sign of their product. `extra` more are noise.
fn product(n: usize, extra: usize, seed: u64) -> (Vec<f32>, Vec<u16>) {
    let mut random = SplitMix64(seed);
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let row: Vec<f32> = (0..2 + extra).map(|_| 2.0 * random.unit() - 1.0).collect();
        labels.push(u16::from(row[0] * row[1] > 0.0));
        features.extend(row);
    }
    (features, labels)
}

fn set<'a>((features, labels): &'a (Vec<f32>, Vec<u16>)) -> TrainingSet<'a> {
    TrainingSet { features, labels, sample_weights: None }
}

type Pair = (Neck<Vec<f32>>, Head<Vec<f32>>);

fn zeros([n_classes, hidden_dim, feature_dim]: [usize; 3]) -> Pair {
    let neck = Neck::new(hidden_dim, feature_dim, vec![0.0; hidden_dim * (feature_dim + 1)]).expect("shape");
    (neck, Head::new(n_classes, hidden_dim, vec![0.0; n_classes * (hidden_dim + 1)]).expect("shape"))
}

/// A training, its parameters, and the validation losses.
fn train(
    kernels: Kernels,
    sets: [&TrainingSet<'_>; 2],
    settings: &Settings,
    shape: [usize; 3],
    seed: u64,
) -> (Result<Training, TrainError>, Pair, Vec<f64>) {
    let ((mut neck, mut head), mut losses) = (zeros(shape), Vec::new());
    let mut order = vec![0; sets[0].labels.len()];
    let mut scratch = vec![f32::NAN; scratch_len(shape[0], shape[1], shape[2]).expect("fits")];
    let mut random = SplitMix64(seed);
    let note = |epoch: &Epoch| losses.push(epoch.validation_loss);
    let training = fit(kernels, sets, settings, &mut random, &mut neck, &mut head, &mut order, &mut scratch, note);
    (training, (neck, head), losses)
}

fn accuracy((neck, head): &Pair, set: &TrainingSet<'_>) -> f64 {
    let (n, kernels) = (set.labels.len(), Kernels::detect());
    let (mut hidden, mut logits) = (vec![0.0; n * neck.hidden_dim()], vec![0.0; n * head.n_classes()]);
    neck.apply(kernels, set.features, &mut hidden);
    head.logits(kernels, &hidden, &mut logits);
    let rows = logits.chunks_exact(head.n_classes()).zip(set.labels);
    rows.filter(|(row, label)| argmax(row) == Some(usize::from(**label))).count() as f64 / n as f64
}

/// Mean loss in f64, written without the code above. Of the hidden units `kept` are those that are not dropped.
fn loss(shape: [usize; 3], parameters: &[f64], set: &TrainingSet<'_>, kept: &[bool], dropout: f64) -> f64 {
    let [n_classes, hidden_dim, feature_dim] = shape;
    let (neck, head) = parameters.split_at(hidden_dim * (feature_dim + 1));
    let mut sum = 0.0;
    for (i, label) in set.labels.iter().enumerate() {
        let x = &set.features[i * feature_dim..][..feature_dim];
        let unit = |j: usize| {
            let z: f64 = (0..feature_dim).map(|k| neck[j * feature_dim + k] * f64::from(x[k])).sum();
            let kept = if kept[i * hidden_dim + j] { 1.0 / (1.0 - dropout) } else { 0.0 };
            (z + neck[hidden_dim * feature_dim + j]).max(0.0) * kept
        };
        let hidden: Vec<f64> = (0..hidden_dim).map(unit).collect();
        let logit = |c: usize| {
            let z: f64 = (0..hidden_dim).map(|j| head[c * hidden_dim + j] * hidden[j]).sum();
            z + head[n_classes * hidden_dim + c]
        };
        let total: f64 = (0..n_classes).map(|c| logit(c).exp()).sum();
        sum += total.ln() - logit(usize::from(*label));
    }
    sum / set.labels.len() as f64
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    let shape = [3, 7, 5];
    let [n_classes, hidden_dim, feature_dim] = shape;
    let n = 11;
    let mut random = SplitMix64(5);
    let features: Vec<f32> = (0..n * feature_dim).map(|_| 2.0 * random.unit() - 1.0).collect();
    let labels: Vec<u16> = (0..n as u16).map(|i| i % 3).collect();
    let set = TrainingSet { features: &features, labels: &labels, sample_weights: None };
    let (mut neck, mut head) = zeros(shape);
    start(&mut random, &mut neck, &mut head);
    neck.parameters_mut()[hidden_dim * feature_dim..].iter_mut().for_each(|b| *b = random.unit() - 0.5);
    head.parameters_mut()[n_classes * hidden_dim..].iter_mut().for_each(|b| *b = random.unit() - 0.5);
    let parameters: Vec<f64> = [neck.parameters(), head.parameters()].concat().into_iter().map(f64::from).collect();
    for dropout in [0.0f32, 0.4] {
        let mut drawn = random.clone();
        let kept: Vec<bool> = (0..n * hidden_dim).map(|_| dropout == 0.0 || drawn.unit() >= dropout).collect();
        assert_eq!(kept.iter().any(|kept| !kept), dropout > 0.0);
        let mut buffer = vec![f32::NAN; BLOCK * (feature_dim + 2 * hidden_dim + 2 * n_classes)];
        let mut block = Block::new(Kernels::detect(), shape, &mut buffer);
        let mut gradient = vec![0.0; parameters.len()];
        block.load(&set, 0..n);
        let dropped = Some((dropout, &mut random.clone()));
        let value = block.backward(&neck, &head, 1.0 / n as f32, dropped, &mut gradient) / n as f64;
        let exact = |parameters: &[f64]| loss(shape, parameters, &set, &kept, f64::from(dropout));
        assert!((value - exact(&parameters)).abs() < 1e-6, "{value} {}", exact(&parameters));
        for (at, got) in gradient.iter().enumerate() {
            let shifted = |by: f64| {
                let mut parameters = parameters.clone();
                parameters[at] += by;
                exact(&parameters)
            };
            // Small enough that no unit of these crosses the rectifier's corner.
            let expected = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
            assert!((f64::from(*got) - expected).abs() < 1e-5, "{at}: {got} {expected}");
        }
        assert!(gradient.iter().filter(|g| g.abs() > 1e-3).count() > parameters.len() / 2);
    }
}

#[test]
fn the_steps_are_those_of_adam() {
    // f64 arithmetic from the formulas, three steps.
    let settings = Settings { learning_rate: 0.1, weight_decay: 0.5, ..Settings::default() };
    let (mut neck, mut head) = zeros([2, 1, 1]);
    neck.parameters_mut().copy_from_slice(&[0.5, -0.25]);
    head.parameters_mut().copy_from_slice(&[1.0, -1.0, 0.0, 2.0]);
    let mut moments = [f32::NAN; 12];
    let mut adam = Adam::new(&settings, &mut moments);
    let (mut w, mut m, mut v) = ([0.5, -0.25, 1.0, -1.0, 0.0, 2.0], [0.0; 6], [0.0; 6]);
    let decays = [true, false, true, true, false, false];
    for t in 1..=3 {
        let gradient: [f32; 6] = core::array::from_fn(|i| (i as f32 - 2.5) * t as f32 * 0.3);
        adam.step(&mut neck, &mut head, &gradient);
        for i in 0..6 {
            let g = f64::from(gradient[i]);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let (mean, square): (f64, f64) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
            let decay = if decays[i] { 0.5 * w[i] } else { 0.0 };
            w[i] -= 0.1 * (mean / (square.sqrt() + 1e-8) + decay);
        }
    }
    let got = [neck.parameters(), head.parameters()].concat();
    assert!(got.iter().zip(w).all(|(got, w)| (f64::from(*got) - w).abs() < 1e-5), "{got:?} {w:?}");
}

#[test]
fn what_no_linear_head_can_tell_is_learned() {
    let (train_data, other, test_data) = (product(400, 2, 1), product(100, 2, 2), product(400, 2, 3));
    let settings = Settings { learning_rate: 1e-2, dropout: 0.1, ..Settings::default() };
    let shape = [2, 32, 4];
    let (training, pair, losses) = train(Kernels::detect(), [&set(&train_data), &set(&other)], &settings, shape, 1);
    let training = training.expect("trains");
    assert!(accuracy(&pair, &set(&test_data)) > 0.93, "{}", accuracy(&pair, &set(&test_data)));
    // The best epoch is the one of least loss, its parameters are those that are there, and patience is kept.
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!((losses.len() as u32, training.best.validation_loss), (training.epochs, least));
    assert_eq!(losses[training.best.number as usize - 1], least);
    assert!(training.epochs == 200 || training.epochs == training.best.number + settings.patience);
    let mut buffer = vec![f32::NAN; scratch_len(2, 32, 4).expect("fits")];
    let mut block = Block::new(Kernels::detect(), shape, &mut buffer);
    assert_eq!(block.loss(&pair.0, &pair.1, &set(&other)), least);

    use crate::solver::softmax;
    let mut head = Head::new(2, 4, vec![0.0; 10]).expect("shape");
    let mut scratch = vec![0.0; softmax::scratch_len(400, 2, 4).expect("fits")];
    let linear = softmax::Settings::new(0.1);
    softmax::fit(Kernels::detect(), &set(&train_data), &linear, &mut head, &mut scratch).expect("fits");
    let mut logits = vec![0.0; 800];
    head.logits(Kernels::detect(), &test_data.0, &mut logits);
    let right = logits.chunks(2).zip(&test_data.1).filter(|(row, label)| argmax(row) == Some(usize::from(**label)));
    assert!(right.count() < 260, "a linear head can");
}

/// SHA-256 of the parameters of three trainings: blocks that are whole and not, dropout and none.
const WRITTEN_DOWN: &str = "516514c35578542395e11df2a57a88dab94e53361918eb55eb9ba74b5ebbd1b5";

#[test]
fn trainings_have_the_bytes_that_were_written_down() {
    for kernels in Kernels::available() {
        let mut all = Sha256::new();
        for (seed, hidden_dim, dropout, batch) in [(1, 33, 0.5, 32), (2, 8, 0.0, 100), (3, 64, 0.2, 7)] {
            let (train_data, other) = (product(150, 35, seed), product(70, 35, seed + 9));
            let settings = Settings { dropout, batch, epochs: 12, patience: 5, ..Settings::default() };
            let sets = [&set(&train_data), &set(&other)];
            let (training, (neck, head), _) = train(kernels, sets, &settings, [2, hidden_dim, 37], seed);
            let training = training.expect("trains");
            all.update(training.best.validation_loss.to_le_bytes());
            let parameters = neck.parameters().iter().chain(head.parameters());
            all.update(parameters.flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>());
        }
        let digest: String = all.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, WRITTEN_DOWN, "{kernels:?}");
    }
}

#[test]
fn another_seed_gives_another_neck() {
    let data = product(60, 0, 1);
    let kernels = Kernels::new(Isa::Scalar).expect("is there");
    let settings = Settings { epochs: 2, ..Settings::default() };
    let run = |seed| train(kernels, [&set(&data), &set(&data)], &settings, [2, 5, 2], seed).1;
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let data = product(8, 0, 1);
    let good = set(&data);
    let refused = |sets: [&TrainingSet<'_>; 2], settings: &Settings| {
        let (result, pair, _) = train(Kernels::detect(), sets, settings, [2, 4, 2], 0);
        assert_eq!(pair, zeros([2, 4, 2]));
        result.expect_err("bad")
    };
    let of = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        match refused([&good, &good], &settings) {
            TrainError::Fit(FitError::Setting { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    };
    for rate in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(of(&|s| s.learning_rate = rate), "learning rate");
    }
    assert_eq!(of(&|s| s.weight_decay = -0.1), "weight decay");
    for dropout in [1.0, -0.1, f32::NAN] {
        assert_eq!(of(&|s| s.dropout = dropout), "dropout");
    }
    assert_eq!(of(&|s| s.batch = 0), "batch");
    assert_eq!(of(&|s| s.epochs = 0), "epochs");
    assert_eq!(of(&|s| s.patience = 0), "patience");

    let settings = Settings::default();
    let nothing = TrainingSet { features: &[], labels: &[], sample_weights: None };
    let wrong = TrainError::Fit(FitError::Length { what: "validation", expected: 1, got: 0 });
    assert_eq!(refused([&good, &nothing], &settings), wrong);
    assert_eq!(refused([&nothing, &good], &settings), FitError::EmptyClass { class: 0 }.into());
    let weighted = TrainingSet { sample_weights: Some(&[1.0; 8]), ..good };
    let wrong = FitError::Length { what: "sample_weights", expected: 0, got: 8 };
    assert_eq!(refused([&weighted, &good], &settings), wrong.into());
    let mut features = data.0.clone();
    features[5] = f32::NAN;
    let nan = TrainingSet { features: &features, ..good };
    assert_eq!(refused([&good, &nan], &settings), FitError::NotFinite { sample: 2 }.into());

    let (result, ..) = train(Kernels::detect(), [&good, &good], &settings, [2, 0, 2], 0);
    assert_eq!(result, Err(FitError::Length { what: "a layer", expected: 1, got: 0 }.into()));
    let ((mut neck, _), mut head) = (zeros([2, 4, 2]), Head::new(2, 3, [0.0; 8]).expect("shape"));
    let (mut order, mut scratch, mut random) = ([0; 8], vec![0.0; 10_000], SplitMix64(0));
    let sets = [&good, &good];
    let kernels = Kernels::detect();
    let error = fit(kernels, sets, &settings, &mut random, &mut neck, &mut head, &mut order, &mut scratch, |_| ());
    assert_eq!(error, Err(TrainError::Shape { hidden_dim: 4, feature_dim: 3 }));
    let (mut neck, mut head) = zeros([2, 4, 2]);
    let mut short = |order: &mut [u32], scratch: &mut [f32]| {
        fit(kernels, sets, &settings, &mut random, &mut neck, &mut head, order, scratch, |_| ()).expect_err("short")
    };
    let expected = scratch_len(2, 4, 2).expect("fits");
    let wrong = FitError::Length { what: "scratch", expected, got: expected - 1 };
    assert_eq!(short(&mut order, &mut scratch[..expected - 1]), wrong.into());
    let wrong = FitError::Length { what: "order", expected: 8, got: 7 };
    assert_eq!(short(&mut order[1..], &mut scratch), wrong.into());
    assert_eq!(scratch_len(usize::MAX, 2, 2), None);
    assert_eq!(scratch_len(2, usize::MAX / 4, 2), None);
}

#[test]
fn a_training_that_runs_away_says_so() {
    let (mut features, labels) = product(20, 0, 1);
    features.iter_mut().for_each(|x| *x *= 1e38);
    let data = (features, labels);
    let settings = Settings { learning_rate: 1e30, ..Settings::default() };
    let (result, _, _) = train(Kernels::detect(), [&set(&data), &set(&data)], &settings, [2, 4, 2], 0);
    assert_eq!(result, Err(TrainError::Diverged { epoch: 1 }));
    assert!(TrainError::Diverged { epoch: 1 }.to_string().contains("lower the learning rate"));
}
