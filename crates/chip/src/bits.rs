//! Bit fields: one writer and one reader, least significant bit first.
//!
//! Invariant: a field of w bits written at position p is bits p .. p + w, bit 0 of the value first. Reading beyond the end is `None`.

use crate::image::Bits;
use std::borrow::Cow;
use std::ops::Range;

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

/// The words of a table, bit 0 of the table being bit 0 of the first word.
pub(crate) fn words_of(bits: &Bits) -> Cow<'_, [u64]> {
    if bits.as_bitptr().bit().into_inner() == 0 {
        return Cow::Borrowed(bits.as_raw_slice());
    }
    let mut aligned = bits.clone();
    aligned.force_align();
    Cow::Owned(aligned.into_vec())
}

/// Reads fields one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BitReader<'a> {
    words: &'a [u64],
    at: usize,
    end: usize,
}

impl<'a> BitReader<'a> {
    /// Reads the bits `range` of `words`.
    pub(crate) fn new(words: &'a [u64], range: Range<usize>) -> Self {
        BitReader { words, at: range.start, end: range.end.min(words.len() * 64) }
    }

    /// The next `width` bits (at most 64), or `None` where fewer are left.
    pub(crate) fn take(&mut self, width: u8) -> Option<u64> {
        if width == 0 {
            return Some(0);
        }
        let end = self.at + usize::from(width);
        if end > self.end {
            return None;
        }
        let (word, offset) = (self.at / 64, self.at % 64);
        let mut field = self.words[word] >> offset;
        if offset + usize::from(width) > 64 {
            field |= self.words[word + 1] << (64 - offset);
        }
        self.at = end;
        Some(to_twos(field as i64, width))
    }

    /// Position of the next bit.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Bits that are left.
    pub(crate) fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// Passes the bits before position `to`; the position of the first set one among them.
    pub(crate) fn pass_zeros(&mut self, to: usize) -> Option<usize> {
        let passed = BitReader { end: to.min(self.end), ..*self };
        self.at = passed.end.max(self.at);
        passed.first_one_left()
    }

    /// Position of the first set bit among those left.
    pub(crate) fn first_one_left(mut self) -> Option<usize> {
        loop {
            let start = self.at;
            let field = self.take((self.end - start).min(64) as u8)?;
            if field != 0 {
                return Some(start + field.trailing_zeros() as usize);
            }
            if self.at == self.end {
                return None;
            }
        }
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

    #[test]
    fn tables_that_start_inside_a_word_are_read_alike() {
        let bits: Bits = (0..200).map(|i| i % 3 == 0).collect();
        let shifted = Bits::from_bitslice(&bits[5..]);
        let words = words_of(&shifted);
        let mut reader = BitReader::new(&words, 0..195);
        let read: Vec<bool> = std::iter::from_fn(|| reader.take(1)).map(|b| b == 1).collect();
        assert_eq!(read, (5..200).map(|i| i % 3 == 0).collect::<Vec<_>>());
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
            let words = words_of(&bits);
            let mut reader = BitReader::new(&words, 0..bits.len());
            prop_assert_eq!(reader.first_one_left(), bits.first_one());
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
