//! Which exchanges are kept: all classes about equally often, however rare, and with weights that undo it.
//!
//! Of `n` exchanges at a rate `p` every one of the `K` classes seen so far may fill a K-th part of `p·n`. An exchange
//! of a class that came `n_c` times is kept with probability `π = min(1, p·n / (K·n_c))`, and written with the weight
//! `1/π` (Horvitz and Thompson, JASA 1952): weighted counts, means and rates over what was kept estimate those over
//! everything without bias, because π depends on the past alone. A batch with several classes has the π of the
//! rarest. No weight is above `K/p`. Counts are halved now and then, so that a class which has become rare is kept
//! more often again.

use std::collections::HashMap;

use crate::{draw::Draw, evidence::OTHER_LABEL, unit::Share};

/// Classes that are told apart; what comes beyond is one more.
const CLASSES: usize = 128;
/// Exchanges after which counts are halved.
const MEMORY: u64 = 100_000;

/// Decides, and remembers how often each class came.
#[derive(Debug)]
pub(super) struct Sampler {
    rate: f64,
    exchanges: u64,
    classes: HashMap<String, u64>,
}

impl Sampler {
    pub(super) fn new(rate: Share) -> Sampler {
        Sampler { rate: rate.fraction(), exchanges: 0, classes: HashMap::new() }
    }

    /// The weight of an exchange with predictions of these classes, if it is kept.
    pub(super) fn admit<'a>(
        &mut self,
        classes: impl Iterator<Item = &'a str> + Clone,
        draw: Draw,
    ) -> Option<f64> {
        let share = self.share(classes.clone());
        self.count(classes);
        (draw.uniform() < share).then(|| 1.0 / share)
    }

    /// Its chance to be kept, by what came before it.
    fn share<'a>(&self, classes: impl Iterator<Item = &'a str>) -> f64 {
        let seen = |class: &str| self.classes.get(self.name(class)).copied().unwrap_or(0);
        let rarest = classes.map(seen).min().unwrap_or(self.exchanges);
        let room = self.rate * self.exchanges as f64 / self.classes.len().max(1) as f64;
        if rarest == 0 { 1.0 } else { (room / rarest as f64).min(1.0) }
    }

    fn name<'a>(&self, class: &'a str) -> &'a str {
        let known = self.classes.len() < CLASSES || self.classes.contains_key(class);
        if known { class } else { OTHER_LABEL }
    }

    fn count<'a>(&mut self, classes: impl Iterator<Item = &'a str>) {
        self.exchanges += 1;
        let mut once: Vec<&str> = classes.collect();
        once.sort_unstable();
        once.dedup();
        for class in once {
            match self.classes.get_mut(self.name(class)) {
                Some(count) => *count += 1,
                None => _ = self.classes.insert(self.name(class).to_owned(), 1),
            }
        }
        if self.exchanges >= MEMORY {
            self.exchanges /= 2;
            self.classes.values_mut().for_each(|count| *count /= 2);
            self.classes.retain(|_, count| *count > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::draw::{Key, UnitHash};

    /// How often each class is kept of how often it came, and the sum of its weights.
    fn sampled(
        rate: f64,
        classes: impl Fn(u64) -> &'static str,
        seed: u64,
    ) -> BTreeMap<&'static str, (u64, u64, f64)> {
        let key = Key::new(seed, "payload");
        let mut sampler = Sampler::new(Share::ALL.scaled(rate));
        let mut counts = BTreeMap::<_, (u64, u64, f64)>::new();
        for number in 0..20_000 {
            let class = classes(number);
            let weight = sampler.admit([class].into_iter(), key.draw(UnitHash::from_u64(number), 0));
            let count = counts.entry(class).or_default();
            count.1 += 1;
            if let Some(weight) = weight {
                count.0 += 1;
                count.2 += weight;
            }
        }
        counts
    }

    /// One in a hundred is fraud.
    fn rare(number: u64) -> &'static str {
        if Key::new(1, "class").draw(UnitHash::from_u64(number), 0).uniform() < 0.01 {
            "fraud"
        } else {
            "fine"
        }
    }

    #[test]
    fn the_rare_are_kept_and_the_weights_undo_it() {
        let rounds: Vec<_> = (0..40).map(|seed| sampled(0.05, rare, seed)).collect();
        let (mut sum, came) = (0.0, rounds[0]["fine"].1 as f64);
        for counts in &rounds {
            let (kept, came, _) = counts["fraud"];
            // Every one of 1% has room in half of 5%, but for the first few, before the rate is known.
            assert!(kept + 5 >= came, "{kept} of {came}");
            let (kept, _, weights) = counts["fine"];
            assert!((350..650).contains(&kept), "{kept} of half of 1,000");
            sum += weights;
        }
        let mean = sum / rounds.len() as f64;
        // The mean of 40 estimates from about 500 of weight 40 each: a deviation of 0.7%.
        assert!((mean / came - 1.0).abs() < 0.03, "{mean} of {came}");
    }

    #[test]
    fn without_a_rate_nothing_but_the_first_of_a_class_is_kept() {
        let counts = sampled(1e-9, rare, 3);
        assert_eq!((counts["fine"].0, counts["fraud"].0), (1, 1));
    }

    #[test]
    fn everything_is_kept_at_a_rate_of_one_by_one_class() {
        let counts = sampled(1.0, |_| "same", 3);
        assert_eq!(counts["same"], (20_000, 20_000, 20_000.0));
    }

    #[test]
    fn the_classes_are_bounded() {
        let mut sampler = Sampler::new(Share::ALL);
        let key = Key::new(0, "payload");
        for number in 0..10 * CLASSES as u64 {
            let class = format!("c{number}");
            sampler.admit([class.as_str()].into_iter(), key.draw(UnitHash::from_u64(number), 0));
        }
        assert!(sampler.classes.len() <= CLASSES + 1);
    }
}
