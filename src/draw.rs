//! (seed, rule, unit) → a stable 64-bit draw.
//!
//! A decision is a pure function: no generator, no lock, nothing that depends on the order of arrival, so a
//! sidecar, an embedded layer and a test on another machine decide alike. The definition, for other
//! languages (all integers little-endian, `xxh3_64` is XXH3 with a 64-bit result and a 64-bit seed):
//!
//! ```text
//! key  = xxh3_64(utf8(rule),  seed = scenario seed)
//! unit = xxh3_64(bytes of the unit, seed = 0)
//! draw = xxh3_64(le64(unit) ++ le64(counter), seed = key)
//! ```
//!
//! A share `s` admits a draw `d` when `d < floor(s · 2^64)`; a share of one admits every draw. The uniform
//! number of a draw is `((d >> 12) + 0.5) · 2^-52`, strictly between 0 and 1. Test vectors are in
//! `tests/vectors/draw.json`, written by `scripts/draw_vectors.py` with another implementation of XXH3.
//!
//! Why not a seeded generator per scenario? Its n-th number belongs to the n-th request, and which request
//! that is depends on the network.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::unit::Share;

/// The identity of a rule under a seed: draws under different keys are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// The key of a rule. Rules are named by their place, such as `exposure/serving` or
    /// `confused/0/mislabel`.
    pub fn new(seed: u64, rule: &str) -> Key {
        Key(xxh3_64_with_seed(rule.as_bytes(), seed))
    }

    /// The draw number `counter` for a unit.
    #[inline]
    pub fn draw(self, unit: UnitHash, counter: u64) -> Draw {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&unit.0.to_le_bytes());
        bytes[8..].copy_from_slice(&counter.to_le_bytes());
        Draw(xxh3_64_with_seed(&bytes, self.0))
    }
}

/// What stands for a unit (a user, a session, a request) in every draw and in the ledger.
///
/// Serialised it is a text of 16 lower-case hexadecimal digits, as in the test vectors: JavaScript and jq
/// read JSON numbers as doubles, which lose the last bits of 64.
///
/// ```
/// use canard::draw::UnitHash;
/// let unit = UnitHash::of(b"user-1");
/// assert_eq!(serde_json::to_string(&unit)?, "\"7c7615c11438e5c9\"");
/// assert_eq!(serde_json::from_str::<UnitHash>("\"7c7615c11438e5c9\"")?, unit);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitHash(u64);

impl Serialize for UnitHash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{self:016x}"))
    }
}

impl<'de> Deserialize<'de> for UnitHash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<UnitHash, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u64::from_str_radix(&text, 16).ok().filter(|_| digits);
        let wrong =
            || D::Error::custom(format!("`{text}` is no unit; it is a text of 16 hexadecimal digits"));
        number.map(UnitHash).ok_or_else(wrong)
    }
}

impl UnitHash {
    /// The hash of a unit's bytes.
    #[inline]
    pub fn of(unit: &[u8]) -> UnitHash {
        UnitHash(xxh3_64(unit))
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The unit of a known number (a ledger line, a sequence number).
    pub const fn from_u64(number: u64) -> UnitHash {
        UnitHash(number)
    }
}

impl std::fmt::LowerHex for UnitHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::LowerHex::fmt(&self.0, f)
    }
}

/// One draw: 64 bits that look random and are always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw(u64);

impl Draw {
    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Is this draw among `share` of all draws?
    #[inline]
    pub fn within(self, share: Share) -> bool {
        let fraction = share.fraction();
        fraction >= 1.0 || self.0 < (fraction * TWO_TO_64) as u64
    }

    /// A number strictly between 0 and 1.
    #[inline]
    pub fn uniform(self) -> f64 {
        ((self.0 >> 12) as f64 + 0.5) * (1.0 / 4_503_599_627_370_496.0)
    }

    /// An index below `count` (which must not be zero).
    #[inline]
    pub fn index(self, count: usize) -> usize {
        ((u128::from(self.0) * count as u128) >> 64) as usize
    }
}

const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

/// All the draws that one rule makes for one request: `dice.at(purpose, index)`.
///
/// `purpose` keeps questions apart (does it act? how large?), `index` counts the predictions of a batch;
/// the counter of the draw is `purpose << 32 | index`.
#[derive(Debug, Clone, Copy)]
pub struct Dice {
    key: Key,
    request: UnitHash,
    certain: bool,
}

impl Dice {
    /// The dice of a rule for a request.
    pub const fn new(key: Key, request: UnitHash) -> Dice {
        Dice { key, request, certain: false }
    }

    /// The same dice, but that whatever may happen does: each answer to the first question, whether a rule
    /// acts, is a draw that every share above zero admits.
    #[must_use]
    pub const fn certain(self) -> Dice {
        Dice { certain: true, ..self }
    }

    /// The dice of the same rule for something else that has an identity: a key, an item. What they draw
    /// depends on it alone, and is the same in every request.
    #[must_use]
    pub const fn of(self, unit: UnitHash) -> Dice {
        Dice { request: unit, ..self }
    }

    /// One draw.
    #[inline]
    pub fn at(self, purpose: u32, index: u32) -> Draw {
        if self.certain && purpose == 0 {
            return Draw(0);
        }
        self.key.draw(self.request, u64::from(purpose) << 32 | u64::from(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_met_within_binomial_bounds() {
        let key = Key::new(7, "exposure/serving");
        let n = 100_000;
        let hits = (0..n).filter(|i: &u32| {
            key.draw(UnitHash::of(format!("u{i}").as_bytes()), 0).within(Share::new(0.25).unwrap())
        });
        let observed = hits.count() as f64 / f64::from(n);
        assert!((observed - 0.25).abs() < 4.0 * (0.25_f64 * 0.75 / f64::from(n)).sqrt(), "{observed}");
    }

    #[test]
    fn a_unit_travels_as_text() {
        for number in [0, 1, (1 << 53) + 1, u64::MAX] {
            let text = serde_json::to_string(&UnitHash(number)).unwrap();
            assert_eq!(text, format!("\"{number:016x}\""));
            assert_eq!(serde_json::from_str::<UnitHash>(&text).unwrap(), UnitHash(number));
        }
        for wrong in ["1", "\"1\"", "\"+000000000000001\"", "\"00000000000000000\"", "\"000000000000000g\""] {
            assert!(serde_json::from_str::<UnitHash>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_ends_of_a_share_are_exact() {
        for bits in [0, 1, u64::MAX] {
            assert!(Draw(bits).within(Share::ALL));
            assert!(!Draw(bits).within(Share::NONE));
            let u = Draw(bits).uniform();
            assert!(u > 0.0 && u < 1.0);
            assert!(Draw(bits).index(3) < 3);
        }
    }

    #[derive(Deserialize)]
    struct Vectors {
        shares: Vec<String>,
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        seed: String,
        rule: String,
        unit_bytes: String,
        counter: String,
        key: String,
        unit: String,
        draw: String,
        uniform: String,
        admitted_by: Vec<String>,
    }

    #[test]
    fn another_implementation_draws_the_same() {
        let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/draw.json");
        let published: Vectors = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(published.vectors.len() >= 100);
        for v in &published.vectors {
            let key = Key::new(hex(&v.seed), &v.rule);
            let pairs = (0..v.unit_bytes.len()).step_by(2);
            let bytes: Vec<u8> = pairs.map(|i| hex(&v.unit_bytes[i..i + 2]) as u8).collect();
            let unit = UnitHash::of(&bytes);
            let draw = key.draw(unit, hex(&v.counter));
            assert_eq!((key.0, unit.0, draw.0), (hex(&v.key), hex(&v.unit), hex(&v.draw)), "{}", v.rule);
            assert_eq!(draw.uniform(), v.uniform.parse::<f64>().unwrap());
            let admits = |share: &&String| draw.within(Share::new(share.parse().unwrap()).unwrap());
            assert_eq!(published.shares.iter().filter(admits).cloned().collect::<Vec<_>>(), v.admitted_by);
        }
    }
}
