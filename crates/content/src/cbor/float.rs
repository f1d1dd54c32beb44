//! Floating-point numbers in their shortest form (section 6.1), and the one NaN (section 6.2).

use crate::error::Fault;

/// The quiet NaN of 16 bits.
const NAN: u16 = 0x7e00;

/// A floating-point number, as its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    Half(u16),
    Single(u32),
    Double(u64),
}

impl Float {
    /// Checks that no shorter form has the same value.
    pub(crate) fn check(self) -> Result<(), Fault> {
        match self {
            Self::Half(bits) if bits & 0x7c00 == 0x7c00 && bits & 0x3ff != 0 && bits != NAN => {
                Err(Fault::NotANumber)
            }
            Self::Half(_) => Ok(()),
            Self::Single(bits) if f32::from_bits(bits).is_nan() => Err(Fault::NotANumber),
            Self::Single(bits) if fits_half(bits) => Err(Fault::NotShortest),
            Self::Single(_) => Ok(()),
            Self::Double(bits) if f64::from_bits(bits).is_nan() => Err(Fault::NotANumber),
            Self::Double(bits) if fits_single(bits) => Err(Fault::NotShortest),
            Self::Double(_) => Ok(()),
        }
    }
}

/// Whether a number of 64 bits is one of 32 bits.
fn fits_single(bits: u64) -> bool {
    let double = f64::from_bits(bits);
    f64::from(double as f32).to_bits() == bits
}

/// Whether a number of 32 bits that is no NaN is one of 16 bits.
fn fits_half(bits: u32) -> bool {
    let fraction = bits & 0x7f_ffff;
    match (bits >> 23) & 0xff {
        // Zero; any other subnormal is far below the smallest number of 16 bits.
        0 => fraction == 0,
        0xff => true,
        biased => {
            // The value is `significand * 2^(exponent - 23)`, and has to be a multiple of the 16-bit format's step.
            let exponent = biased as i32 - 127;
            let significand = fraction | 0x80_0000;
            let step = (exponent - 10).max(-24);
            exponent <= 15 && significand.trailing_zeros() as i32 >= step - (exponent - 23)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a finite number of 16 bits, by the definition of the format.
    fn value(half: u16) -> f32 {
        let fraction = f32::from(half & 0x3ff);
        let exponent = i32::from((half >> 10) & 0x1f);
        let magnitude = if exponent == 0 {
            fraction * 2_f32.powi(-24)
        } else {
            (1024.0 + fraction) * 2_f32.powi(exponent - 25)
        };
        if half & 0x8000 == 0 { magnitude } else { -magnitude }
    }

    #[test]
    fn every_number_of_16_bits_has_to_be_written_in_16_bits() {
        for half in (0..=u16::MAX).filter(|half| half & 0x7c00 != 0x7c00) {
            let single = value(half);
            assert_eq!(Float::Single(single.to_bits()).check(), Err(Fault::NotShortest), "{half}");
            let double = f64::from(single);
            assert_eq!(Float::Double(double.to_bits()).check(), Err(Fault::NotShortest), "{half}");

            // Its neighbours among those of 32 bits are in no shorter form, infinity aside.
            for beside in [single.to_bits() + 1, single.to_bits() ^ 1] {
                assert_eq!(Float::Single(beside).check(), Ok(()), "{half} {beside}");
            }
        }
        assert_eq!(Float::Single(65536_f32.to_bits()).check(), Ok(()));
        assert_eq!(Float::Single(f32::INFINITY.to_bits()).check(), Err(Fault::NotShortest));
    }

    #[test]
    fn there_is_one_nan() {
        assert_eq!(Float::Half(NAN).check(), Ok(()));
        let others = [Float::Half(0x7e01), Float::Half(0xfe00), Float::Half(0x7c01)];
        let wider = [Float::Single(0x7fc0_0000), Float::Double(0x7ff8_0000_0000_0000)];
        for nan in others.into_iter().chain(wider) {
            assert_eq!(nan.check(), Err(Fault::NotANumber), "{nan:?}");
        }
    }
}
