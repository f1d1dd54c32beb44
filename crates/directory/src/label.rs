//! Places in the tree: strings of up to 256 bits.

use akd_core::NodeLabel;
use conclave_mls::wire::codec::{DecodeError, Reader, Writer};

/// The length of a leaf's label in bits.
pub(crate) const LEAF_BITS: u32 = 256;

/// A leaf's label.
pub(crate) fn leaf(bytes: [u8; 32]) -> NodeLabel {
    NodeLabel::new(bytes, LEAF_BITS)
}

/// Appends a label: its length in bits, and as many bytes as they fill, with zeros at the end.
pub(crate) fn put(w: &mut Writer, label: &NodeLabel) {
    // Labels are at most 256 bits long.
    w.put(&(label.label_len as u16).to_be_bytes());
    let bytes = label.label_len.div_ceil(8) as usize;
    w.put(label.label_val.get(..bytes).unwrap_or_default());
}

/// Reads what [`put`] appended. Bits beyond the length have to be zero.
pub(crate) fn take(r: &mut Reader<'_>) -> Result<NodeLabel, DecodeError> {
    let length = u16::from_be_bytes(r.take_array()?);
    let invalid = DecodeError::InvalidValue { field: "Label", value: length.into() };
    if u32::from(length) > LEAF_BITS {
        return Err(invalid);
    }

    let mut bits = [0; 32];
    let bytes = r.take(usize::from(length.div_ceil(8)))?;
    for (to, from) in bits.iter_mut().zip(bytes) {
        *to = *from;
    }

    let label = NodeLabel::new(bits, length.into());
    if prefix(&label, length.into()) != label {
        return Err(invalid);
    }
    Ok(label)
}

/// The number of bits that two labels have in common from their beginning.
pub(crate) fn common(a: &NodeLabel, b: &NodeLabel) -> u32 {
    let mut bits = 0;
    for (x, y) in a.label_val.iter().zip(&b.label_val) {
        let same = (x ^ y).leading_zeros();
        bits += same;
        if same < 8 {
            break;
        }
    }
    bits.min(a.label_len).min(b.label_len)
}

/// The first bits of a label.
pub(crate) fn prefix(label: &NodeLabel, bits: u32) -> NodeLabel {
    let bits = bits.min(LEAF_BITS);
    let mut left = bits;
    let mut value = label.label_val;
    for byte in &mut value {
        let keep = left.min(8);
        // A shift by eight would lose the type.
        *byte &= !(0xff_u16 >> keep) as u8;
        left -= keep;
    }
    NodeLabel::new(value, bits)
}

/// Whether a label goes on to the right after this many bits.
pub(crate) fn goes_right(label: &NodeLabel, after: u32) -> bool {
    let byte = label.label_val.get(after as usize / 8).copied().unwrap_or_default();
    byte << (after % 8) & 0x80 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_mls::wire::codec::Reader;

    #[test]
    fn a_label_has_one_encoding() {
        for length in 0..=LEAF_BITS {
            let label = prefix(&leaf([0xa5; 32]), length);
            let mut w = Writer::new();
            put(&mut w, &label);
            let bytes = w.finish();
            assert_eq!(take(&mut Reader::new(&bytes)), Ok(label));

            // A bit beyond the length is set.
            if length % 8 != 0 {
                let mut bytes = bytes;
                *bytes.last_mut().unwrap() |= 1;
                let odd = length % 8 == 7 && bytes.last() == Some(&0xa5);
                assert!(take(&mut Reader::new(&bytes)).is_err() || odd, "{length}");
            }
        }
        assert!(take(&mut Reader::new(&[[1, 1].as_slice(), &[0; 33]].concat())).is_err());
    }

    #[test]
    fn common_bits_and_prefixes_agree_with_the_tree() {
        let mut a = [0x5a; 32];
        for bit in 0..LEAF_BITS {
            let b = a;
            a[bit as usize / 8] ^= 0x80 >> (bit % 8);
            let (x, y) = (leaf(a), leaf(b));
            assert_eq!(common(&x, &y), bit);
            assert_eq!(prefix(&x, bit), x.get_prefix(bit));
            assert!(prefix(&x, bit).is_prefix_of(&y));
            assert_ne!(goes_right(&x, bit), goes_right(&y, bit));
            assert_eq!(goes_right(&x, bit), a[bit as usize / 8] & (0x80 >> (bit % 8)) != 0);
        }
    }
}
