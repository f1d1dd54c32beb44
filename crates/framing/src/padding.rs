/// How much padding private messages get (section 15.1): what outsiders learn of their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Padding {
    /// None.
    #[default]
    None,
    /// This many bytes.
    Bytes(u32),
    /// Up to the next multiple of this many bytes; none for 0.
    ToMultipleOf(u32),
    /// Up to the next power of two: at most doubles a message, and leaks log log of its length.
    PowerOfTwo,
    /// Padmé (Nikitin et al., PETS 2019): as few leaked lengths as [`Self::PowerOfTwo`] in order of
    /// magnitude, with at most 12 % more bytes.
    Padme,
}

impl Padding {
    /// The number of bytes to add to a plaintext of `length` bytes.
    #[must_use]
    pub fn bytes(self, length: usize) -> usize {
        let padded = match self {
            Self::None => Some(length),
            Self::Bytes(n) => usize::try_from(n).ok().and_then(|n| length.checked_add(n)),
            Self::ToMultipleOf(n) => {
                usize::try_from(n).ok().and_then(|n| length.checked_next_multiple_of(n))
            }
            Self::PowerOfTwo => length.checked_next_power_of_two(),
            Self::Padme => padme(length),
        };
        padded.map_or(0, |padded| padded.saturating_sub(length))
    }
}

/// Rounds up so that a length of exponent `e` has only as many bits of mantissa as `e` has bits.
fn padme(length: usize) -> Option<usize> {
    let Some(exponent) = length.checked_ilog2() else { return Some(0) };
    let kept = exponent.checked_ilog2().map_or(0, |log| log + 1);
    let mask = 1usize.checked_shl(exponent.saturating_sub(kept))?.checked_sub(1)?;
    Some(length.checked_add(mask)? & !mask)
}
