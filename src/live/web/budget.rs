//! How much one address may ask for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Addresses that are remembered. Of more the fullest is forgotten, which is the one that has asked for least.
const MOST_ADDRESSES: usize = 1024;

/// A token bucket for each address: so many at once, then so many a second.
#[derive(Debug)]
pub struct Budget {
    burst: f64,
    a_second: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    when: Instant,
}

impl Budget {
    pub fn new(burst: f64, a_second: f64) -> Self {
        Self { burst, a_second, buckets: Mutex::new(HashMap::new()) }
    }

    /// Whether one is left.
    pub fn has_left(&self, address: IpAddr, now: Instant) -> bool {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.get(&network(address)).is_none_or(|bucket| self.left(bucket, now) >= 1.0)
    }

    fn left(&self, bucket: &Bucket, now: Instant) -> f64 {
        (bucket.left + self.a_second * now.saturating_duration_since(bucket.when).as_secs_f64()).min(self.burst)
    }

    /// Takes one, if one is left.
    pub fn take(&self, address: IpAddr, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |bucket: &Bucket| self.left(bucket, now);
        let address = network(address);
        if buckets.len() >= MOST_ADDRESSES && !buckets.contains_key(&address) {
            let fullest = buckets.iter().max_by(|a, b| left(a.1).total_cmp(&left(b.1))).map(|(address, _)| *address);
            fullest.map(|address| buckets.remove(&address));
        }
        let bucket = buckets.entry(address).or_insert(Bucket { left: self.burst, when: now });
        *bucket = Bucket { left: left(bucket), when: now };
        let is_left = bucket.left >= 1.0;
        bucket.left -= f64::from(u8::from(is_left));
        is_left
    }
}

/// Who has an address of version 6 has some 2^64 of them.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn so_many_at_once_and_then_so_many_a_second() {
        let budget = Budget::new(3.0, 2.0);
        let (one, other) = (IpAddr::from([1, 2, 3, 4]), IpAddr::from([1, 2, 3, 5]));
        let start = Instant::now();
        let taken = |address, after: f64| budget.take(address, start + Duration::from_secs_f64(after));
        assert_eq!([0; 4].map(|_| taken(one, 0.0)), [true, true, true, false]);
        assert!(taken(other, 0.0));
        assert!(!budget.has_left(one, start) && budget.has_left(one, start + Duration::from_secs_f64(0.5)));
        assert_eq!([0; 2].map(|_| taken(one, 0.5)), [true, false]);
        assert_eq!([0; 4].map(|_| taken(one, 100.0)), [true, true, true, false]);
        let [near, far] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().expect("an address"));
        assert_eq!([near, far, near, far].map(|address| taken(address, 0.0)), [true, true, true, false]);
    }

    #[test]
    fn many_addresses_take_no_more_memory_and_do_not_free_who_asked_too_much() {
        let budget = Budget::new(2.0, 0.0);
        let now = Instant::now();
        let bad = IpAddr::from([9, 9, 9, 9]);
        while budget.take(bad, now) {}
        for number in 0..5000u32 {
            budget.take(IpAddr::V4(number.into()), now);
        }
        assert_eq!(budget.buckets.lock().expect("free").len(), MOST_ADDRESSES);
        assert!(!budget.take(bad, now));
    }
}
