//! Bit fields: one writer and one reader, least significant bit first.
//!
//! Invariant: a field of w bits written at position p is bits p .. p + w, bit 0 of the value first. Reading beyond the end is `None`.

use crate::image::Bits;
use bitvec::prelude::*;

/// Bits that hold every value of `0 ..= max`; 0 for `max` 0.
pub(crate) fn bits_for(max: u64) -> u8 {
    (64 - max.leading_zeros()) as u8
}

/// Two's complement of `value` in `width` bits.
pub(crate) fn to_twos(value: i64, width: u8) -> u64 {
    if width >= 64 { value as u64 } else { value as u64 & ((1u64 << width) - 1) }
}

/// Value of `width` bits in two's complement.
pub(crate) fn from_twos(field: u64, width: u8) -> i64 {
    if width == 0 {
        return 0;
    }
    let unused = 64 - u32::from(width.min(64));
    ((field << unused) as i64) >> unused
}

/// Appends fields.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    words: Vec<u64>,
    len: usize,
}

impl BitWriter {
    /// Appends the low `width` bits of `value` (at most 64).
    pub(crate) fn put(&mut self, value: u64, width: u8) {
        if width == 0 {
            return;
        }
        let value = to_twos(value as i64, width);
        let offset = self.len % 64;
        if offset == 0 {
            self.words.push(value);
        } else {
            if let Some(last) = self.words.last_mut() {
                *last |= value << offset;
            }
            if offset + usize::from(width) > 64 {
                self.words.push(value >> (64 - offset));
            }
        }
        self.len += usize::from(width);
    }

    /// Appends zeros up to `len` bits.
    pub(crate) fn pad_to(&mut self, len: usize) {
        if len > self.len {
            self.words.resize(len.div_ceil(64), 0);
            self.len = len;
        }
    }

    /// Bits so far.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The bits.
    pub(crate) fn finish(self) -> Bits {
        let mut bits = Bits::from_vec(self.words);
        bits.truncate(self.len);
        bits
    }
}

/// Reads fields one after the other.
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    bits: &'a BitSlice<u64, Lsb0>,
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bits: &'a BitSlice<u64, Lsb0>) -> Self {
        BitReader { bits, at: 0 }
    }

    /// The next `width` bits (at most 64), or `None` where fewer are left.
    pub(crate) fn take(&mut self, width: u8) -> Option<u64> {
        if width == 0 {
            return Some(0);
        }
        let end = self.at + usize::from(width);
        let field = self.bits.get(self.at..end)?;
        self.at = end;
        Some(field.load_le())
    }

    /// Bits read so far.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Position of the first set bit among those left.
    pub(crate) fn first_one_left(&self) -> Option<usize> {
        self.bits[self.at..].first_one().map(|p| p + self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn widths_of_ranges() {
        let expected = [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (255, 8), (256, 9), (4095, 12), (4096, 13), (u64::MAX, 64)];
        for (max, bits) in expected {
            assert_eq!(bits_for(max), bits, "{max}");
        }
    }

    proptest! {
        #[test]
        fn fields_come_back(fields in prop::collection::vec((any::<u64>(), 0u8..=64), 0..60)) {
            let mut writer = BitWriter::default();
            let mut expected = Bits::new();
            for &(value, width) in &fields {
                writer.put(value, width);
                expected.extend((0..width).map(|i| value >> i & 1 == 1));
            }
            let bits = writer.finish();
            prop_assert_eq!(&bits, &expected);
            let mut reader = BitReader::new(&bits);
            for &(value, width) in &fields {
                prop_assert_eq!(reader.take(width), Some(to_twos(value as i64, width)));
            }
            prop_assert_eq!(reader.take(1), None);
        }

        #[test]
        fn twos_complement(value in -4096i64..4096, width in 14u8..=64) {
            prop_assert_eq!(from_twos(to_twos(value, width), width), value);
        }
    }
}
