//! The two 16-bit floating-point formats of tensors: IEEE 754 binary16 (`FP16`) and bfloat16 (`BF16`).
//!
//! A 64-bit number is rounded once, to the nearest and to even on a tie. By way of 32 bits it would be rounded
//! twice, and some numbers would come out one step off.

/// How the 15 bits beside the sign are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Half {
    mantissa: u32,
    exponent: u32,
}

/// IEEE 754 binary16.
pub(crate) const FP16: Half = Half { mantissa: 10, exponent: 5 };
/// bfloat16: the upper half of a 32-bit number.
pub(crate) const BF16: Half = Half { mantissa: 7, exponent: 8 };

impl Half {
    fn bias(self) -> i32 {
        (1 << (self.exponent - 1)) - 1
    }

    fn infinity(self) -> u16 {
        ((1 << self.exponent) - 1) << self.mantissa
    }

    /// The nearest number of this format; what is too large becomes an infinity.
    pub(crate) fn encode(self, number: f64) -> u16 {
        let sign = u16::from(number.is_sign_negative()) << 15;
        if number.is_nan() {
            return sign | self.infinity() | 1 << (self.mantissa - 1);
        }
        let exponent = (number.abs().to_bits() >> 52) as i32 - 1023;
        if exponent > self.bias() {
            return sign | self.infinity();
        }
        // Below the smallest normal number all steps are of one size.
        let exponent = exponent.max(1 - self.bias());
        let step = power_of_two(exponent - self.mantissa as i32);
        let steps = (number.abs() / step).round_ties_even() as u16;
        // A carry out of the mantissa is one more in the exponent, and at last an infinity.
        let normal = (exponent + self.bias() - 1) as u16;
        sign | ((normal << self.mantissa) + steps)
    }

    /// The number, exactly.
    pub(crate) fn decode(self, bits: u16) -> f64 {
        let mantissa = bits & ((1 << self.mantissa) - 1);
        let exponent = i32::from((bits & 0x7fff) >> self.mantissa);
        let magnitude = match (exponent, mantissa) {
            (e, 0) if e == (1 << self.exponent) - 1 => f64::INFINITY,
            (e, _) if e == (1 << self.exponent) - 1 => f64::NAN,
            (0, m) => f64::from(m) * power_of_two(1 - self.bias() - self.mantissa as i32),
            (e, m) => {
                f64::from(m | 1 << self.mantissa) * power_of_two(e - self.bias() - self.mantissa as i32)
            }
        };
        if bits >> 15 == 1 { -magnitude } else { magnitude }
    }

    /// The number, as near as this format comes to it.
    pub(crate) fn round(self, number: f64) -> f64 {
        self.decode(self.encode(number))
    }
}

fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_numbers() {
        for (number, fp16, bf16) in [
            (0.0, 0x0000, 0x0000),
            (-0.0, 0x8000, 0x8000),
            (1.0, 0x3c00, 0x3f80),
            (-2.0, 0xc000, 0xc000),
            (0.9, 0x3b33, 0x3f66),
            (65504.0, 0x7bff, 0x4780),
            (65519.99, 0x7bff, 0x4780),
            (65520.0, 0x7c00, 0x4780),
            (1e300, 0x7c00, 0x7f80),
            (f64::NEG_INFINITY, 0xfc00, 0xff80),
            (6.103515625e-5, 0x0400, 0x3880),
            (5.960464477539063e-8, 0x0001, 0x3380),
            (2.0_f64.powi(-25), 0x0000, 0x3300),
            (2.0_f64.powi(-25) * (1.0 + f64::EPSILON), 0x0001, 0x3300),
            (1e-320, 0x0000, 0x0000),
        ] {
            assert_eq!(FP16.encode(number), fp16, "{number}");
            assert_eq!(BF16.encode(number), bf16, "{number}");
        }
        assert_eq!(FP16.decode(0x3b33), 0.89990234375);
        assert!(FP16.decode(0x7e00).is_nan() && BF16.decode(BF16.encode(f64::NAN)).is_nan());
    }

    #[test]
    fn every_number_of_the_format_comes_back() {
        for half in [FP16, BF16] {
            for bits in 0..=u16::MAX {
                let number = half.decode(bits);
                assert!(number.is_nan() || half.encode(number) == bits, "{half:?} {bits:#x}");
            }
        }
        for bits in 0..=u16::MAX {
            let single = f64::from(f32::from_bits(u32::from(bits) << 16));
            assert!(single.is_nan() || single.to_bits() == BF16.decode(bits).to_bits(), "{bits:#x}");
        }
    }

    proptest! {
        #[test]
        fn no_other_number_is_nearer(number in -65000.0..65000.0_f64, scale in -30..1_i32, half in prop_oneof![Just(FP16), Just(BF16)]) {
            let number = number * 2.0_f64.powi(scale);
            let bits = half.encode(number);
            let distance = (half.decode(bits) - number).abs();
            for neighbour in [bits.wrapping_sub(1), bits + 1] {
                let other = (half.decode(neighbour) - number).abs();
                prop_assert!(other.is_nan() || distance < other || distance == other && bits & 1 == 0);
            }
        }
    }
}
