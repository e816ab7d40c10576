//! Framing of the image section: tables of bits as bytes.
//!
//! In: an [`Image`]. Out: bytes, or the reverse.
//! Invariant: lengths are checked against the bytes that are left before anything is allocated; unused bits are 0.
//! Why: other teams' loaders read this without our libraries; docs/bundle-format.md, section 4.

use crate::crossbar::{CrossbarCoreImage, CrossbarImage};
use crate::event::EventImage;
use crate::image::{Bits, CoreImage, Image, PackedImage};
use bitvec::prelude::*;

/// Family tags.
const PACKED: u8 = 0;
const CROSSBAR: u8 = 1;
const EVENT_CROSSBAR: u8 = 2;

/// Bytes of an image.
pub(crate) fn image_to_bytes(image: &Image) -> Vec<u8> {
    let packed = match image {
        Image::Packed(packed) => packed,
        Image::Crossbar(image) => return crossbar_to_bytes(image),
        Image::EventCrossbar(image) => {
            let mut out = vec![EVENT_CROSSBAR];
            for bits in [&image.registers, &image.neurons, &image.synapses] {
                put_bits(&mut out, bits);
            }
            return out;
        }
    };
    let mut out = vec![PACKED];
    out.extend((packed.cores.len() as u32).to_le_bytes());
    for c in &packed.cores {
        out.extend(c.core.to_le_bytes());
        let tables = [
            &c.registers,
            &c.synapse_memory,
            &c.in_axons,
            &c.formats,
            &c.compartment_profiles,
            &c.threshold_profiles,
            &c.compartments,
            &c.out_axons,
        ];
        for bits in tables {
            put_bits(&mut out, bits);
        }
    }
    out
}

fn crossbar_to_bytes(image: &CrossbarImage) -> Vec<u8> {
    let mut out = vec![CROSSBAR];
    out.extend((image.cores.len() as u32).to_le_bytes());
    for c in &image.cores {
        out.extend(c.core.to_le_bytes());
        put_bits(&mut out, &c.types);
        put_bits(&mut out, &c.rows);
    }
    out
}

fn put_bits(out: &mut Vec<u8>, bits: &Bits) {
    out.extend((bits.len() as u64).to_le_bytes());
    for chunk in bits.chunks(64) {
        let word: u64 = chunk.load_le();
        out.extend(&word.to_le_bytes()[..chunk.len().div_ceil(8)]);
    }
}

/// What is wrong with an image section, at a byte of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: found {found}, expected {expected}")]
pub struct FramingError {
    /// Byte of the section.
    pub offset: u64,
    /// What stands there.
    pub found: u64,
    /// What would do.
    pub expected: &'static str,
}

struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    fn error(&self, found: u64, expected: &'static str) -> FramingError {
        FramingError { offset: self.at as u64, found, expected }
    }

    fn take(&mut self, count: u64, expected: &'static str) -> Result<&'a [u8], FramingError> {
        let left = &self.bytes[self.at..];
        if count > left.len() as u64 {
            return Err(self.error(left.len() as u64, expected));
        }
        self.at += count as usize;
        Ok(&left[..count as usize])
    }

    fn number(&mut self, bytes: u64) -> Result<u64, FramingError> {
        let field = self.take(bytes, "the bytes of a number")?;
        Ok(field.iter().rev().fold(0, |value, &b| value << 8 | u64::from(b)))
    }

    fn bits(&mut self) -> Result<Bits, FramingError> {
        let count = self.number(8)?;
        let bytes = self.take(count.div_ceil(8), "as many bytes as the table's bits take")?;
        let words = bytes.chunks(8).map(|c| c.iter().rev().fold(0u64, |word, &b| word << 8 | u64::from(b))).collect();
        let mut bits = Bits::from_vec(words);
        let count = count as usize;
        if bits[count..].any() {
            return Err(self.error(1, "unused bits that are 0"));
        }
        bits.truncate(count);
        Ok(bits)
    }
}

/// Reads the bytes of an image.
pub(crate) fn image_from_bytes(bytes: &[u8]) -> Result<Image, FramingError> {
    let mut f = Frames { bytes, at: 0 };
    let family = f.number(1)?;
    let image = match u8::try_from(family) {
        Ok(PACKED) => packed(&mut f)?,
        Ok(CROSSBAR) => {
            let count = f.number(4)?;
            let mut cores = Vec::new();
            for _ in 0..count {
                cores.push(CrossbarCoreImage { core: f.number(4)? as u32, types: f.bits()?, rows: f.bits()? });
            }
            Image::Crossbar(CrossbarImage { cores })
        }
        Ok(EVENT_CROSSBAR) => Image::EventCrossbar(EventImage { registers: f.bits()?, neurons: f.bits()?, synapses: f.bits()? }),
        _ => return Err(f.error(family, "family 0 (packed), 1 (crossbar) or 2 (event crossbar)")),
    };
    let left = bytes.len() - f.at;
    if left > 0 {
        return Err(f.error(left as u64, "no bytes after the last table"));
    }
    Ok(image)
}

fn packed(f: &mut Frames) -> Result<Image, FramingError> {
    let count = f.number(4)?;
    let mut cores = Vec::new();
    for _ in 0..count {
        cores.push(CoreImage {
            core: f.number(4)? as u32,
            registers: f.bits()?,
            synapse_memory: f.bits()?,
            in_axons: f.bits()?,
            formats: f.bits()?,
            compartment_profiles: f.bits()?,
            threshold_profiles: f.bits()?,
            compartments: f.bits()?,
            out_axons: f.bits()?,
        });
    }
    Ok(Image::Packed(PackedImage { cores }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode_core;
    use crate::testing::{loihi1, random_tables};
    use proptest::prelude::*;

    #[test]
    fn bytes_by_hand() {
        let table = |bits: &[u8]| bits.iter().map(|&b| b == 1).collect::<Bits>();
        let core = CoreImage {
            core: 0x0102,
            registers: table(&[1, 0, 1, 0, 0, 0, 0, 0, 1]),
            synapse_memory: table(&[]),
            in_axons: table(&[0]),
            formats: table(&[1]),
            compartment_profiles: table(&[]),
            threshold_profiles: table(&[]),
            compartments: table(&[]),
            out_axons: table(&[]),
        };
        let bytes = image_to_bytes(&Image::Packed(PackedImage { cores: vec![core] }));
        let mut expected = vec![0, 1, 0, 0, 0, 2, 1, 0, 0];
        expected.extend([9, 0, 0, 0, 0, 0, 0, 0, 0b101, 1]);
        expected.extend([0; 8]);
        expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 1]);
        expected.extend([0; 32]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn hostile_lengths_are_refused() {
        let error = image_from_bytes(&[0, 255, 255, 255, 255]).unwrap_err();
        assert_eq!((error.offset, error.found), (5, 0));
        let mut long = vec![0, 1, 0, 0, 0, 0, 0, 0, 0];
        long.extend([255; 8]);
        assert_eq!(image_from_bytes(&long).unwrap_err().offset, 17);
        assert_eq!(image_from_bytes(&[9, 0, 0, 0, 0]).unwrap_err().found, 9);
        assert_eq!(image_from_bytes(&[0, 0, 0, 0, 0, 7]).unwrap_err().found, 1);
        let mut unused = vec![0, 1, 0, 0, 0, 0, 0, 0, 0];
        unused.extend([3, 0, 0, 0, 0, 0, 0, 0, 0b1000]);
        assert_eq!(image_from_bytes(&unused).unwrap_err().expected, "unused bits that are 0");
    }

    proptest! {
        #[test]
        fn images_come_back(seeds in prop::collection::vec(any::<u64>(), 0..4), cut in any::<prop::sample::Index>()) {
            let target = loihi1();
            let cores = seeds.iter().map(|&s| encode_core(&random_tables(s, 30, &target), &target).unwrap()).collect();
            let image = Image::Packed(PackedImage { cores });
            let bytes = image_to_bytes(&image);
            prop_assert_eq!(image_from_bytes(&bytes).unwrap(), image);
            prop_assert!(image_from_bytes(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(0u8..4, 0..200)) {
            if let Ok(image) = image_from_bytes(&bytes) {
                prop_assert_eq!(image_to_bytes(&image), bytes);
            }
        }
    }
}
