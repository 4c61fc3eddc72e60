//! Features like a network's, the same ones each time.

/// Labelled features.
#[derive(Clone, Debug)]
pub struct Samples {
    /// `[n_samples, feature_dim]`
    pub features: Vec<f32>,
    /// `[n_samples]`
    pub labels: Vec<u16>,
    pub n_classes: usize,
    pub feature_dim: usize,
}

impl Samples {
    /// ReLU of class means plus noise. Both have a spectrum that falls like `1 / k`, in directions that mix all features, and
    /// the means stand `separation` noises apart: 0.25 makes classes that overlap, 1 classes that hardly do. `[n, feature_dim]`,
    /// as many of each class as of any other, in random order.
    pub fn like_a_network(n: usize, n_classes: usize, feature_dim: usize, separation: f32) -> Self {
        let mut random = Random(0x746f_7067_7261_6674);
        let mix = Mix::new(feature_dim, &mut random);
        let total: f64 = (1..=feature_dim).map(|k| 1.0 / k as f64).sum();
        // Mean square 1/4 of the noise.
        let scales = |k: usize| (0.5 * (feature_dim as f64 / total / k as f64).sqrt()) as f32;
        let scales: Vec<f32> = (1..=feature_dim).map(scales).collect();
        let mut labels: Vec<u16> = (0..n).map(|i| (i % n_classes) as u16).collect();
        random.shuffle(&mut labels);
        let means: Vec<f32> = (0..n_classes * feature_dim).map(|_| separation * random.normal()).collect();
        let mut features = Vec::with_capacity(n * feature_dim);
        for label in &labels {
            let (first, mean) = (features.len(), &means[usize::from(*label) * feature_dim..][..feature_dim]);
            features.extend(mean.iter().zip(&scales).map(|(mean, scale)| scale * (mean + random.normal())));
            let row = &mut features[first..];
            mix.apply(row);
            row.iter_mut().for_each(|x| *x = (*x + 0.3).max(0.0));
        }
        Self { features, labels, n_classes, feature_dim }
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Each sample scaled to length 1.
    pub fn unit_length(mut self) -> Self {
        for row in self.features.chunks_exact_mut(self.feature_dim) {
            let length = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() as f32;
            row.iter_mut().for_each(|x| *x /= length.max(f32::MIN_POSITIVE));
        }
        self
    }
}

/// A rotation of all features into each other: rounds of plane rotations, of random pairs by random angles.
struct Mix {
    /// First, second, cosine, sine.
    rotations: Vec<(usize, usize, f32, f32)>,
}

impl Mix {
    fn new(feature_dim: usize, random: &mut Random) -> Self {
        let rounds = 2 * feature_dim.ilog2() + 2;
        let mut order: Vec<usize> = (0..feature_dim).collect();
        let mut rotations = Vec::new();
        for _ in 0..rounds {
            random.shuffle(&mut order);
            for pair in order.chunks_exact(2) {
                let (sine, cosine) = (std::f64::consts::TAU * random.unit()).sin_cos();
                rotations.push((pair[0], pair[1], cosine as f32, sine as f32));
            }
        }
        Self { rotations }
    }

    fn apply(&self, row: &mut [f32]) {
        for (i, j, cosine, sine) in &self.rotations {
            (row[*i], row[*j]) = (cosine * row[*i] - sine * row[*j], sine * row[*i] + cosine * row[*j]);
        }
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            values.swap(i, (self.unit() * (i + 1) as f64) as usize);
        }
    }

    /// Mean 0, deviation 1 (Box & Muller 1958).
    fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.unit()).cos()) as f32
    }
}
