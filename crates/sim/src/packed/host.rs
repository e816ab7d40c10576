//! What only the packed family's host does: bias writes.
//!
//! In: the bundle's host section, and a sample. Out: bias registers by chip step.
//! Invariant: every compartment named here exists; every number is finite and in the register's range.
//! Cost: a map's terms once a sample (constant values) or once a step.

use crate::boot::{BootError, Spot};
use crate::check::{MAX_SKEW, range};
use crate::counters::Counters;
use crate::packed::layout::Layout;
use crate::packed::numbers::Numbers;
use spikec_chip::bundle::{Encoder, Host, HostMap};
use spikec_data::{BiasRegister, Values, bias_register, host_sum};

/// A host map and where it writes.
#[derive(Debug)]
struct Map {
    map: HostMap,
    lanes: Vec<u32>,
    /// Chip step in which the first frame acts: skew of the targets + delay.
    begin: u64,
}

/// The host section, resolved to lanes.
#[derive(Debug)]
pub(crate) struct HostPlan {
    /// (chip step, lane, bias in v units), by chip step.
    writes: Vec<(u32, u32, i32)>,
    maps: Vec<Map>,
    mantissa_max: i16,
    exponent_max: u8,
}

impl HostPlan {
    /// Checks the host section against the layout; `skews` is the skew of each lane.
    pub(crate) fn new(host: &Host, layout: &Layout, numbers: &Numbers, skews: &[Option<u32>]) -> Result<HostPlan, BootError> {
        let at = Spot::host("host", 0);
        range(at, "injections (not in the packed family)", host.injections.len() as u64, 0, 0)?;
        if host.encoder != Encoder::Bias {
            range(at, "maps (only for the encoder Bias)", host.maps.len() as u64, 0, 0)?;
        }
        let mut writes = Vec::with_capacity(host.bias_writes.len());
        for (k, write) in host.bias_writes.iter().enumerate() {
            let spot = Spot::host("bias_writes", k);
            range(spot, "chip_step", write.chip_step, 0, host.max_skew.into())?;
            writes.push((write.chip_step, layout.lane(spot, write.place)?, numbers.bias(spot, write.mantissa, write.exponent)?));
        }
        writes.sort_by_key(|w| w.0);
        let maps = host.maps.iter().enumerate().map(|(k, m)| Map::new(k, m, host, layout, skews)).collect::<Result<_, _>>()?;
        Ok(HostPlan { writes, maps, mantissa_max: numbers.bias_mantissa_max, exponent_max: numbers.bias_exponent_max })
    }

    /// Writes the biases that are due before a chip step of a sample of `steps` network steps.
    pub(crate) fn write_biases(&self, chip_step: u64, steps: u32, values: Option<&Values>, biases: &mut [i32], counters: &mut Counters) {
        let due = self.writes.partition_point(|w| u64::from(w.0) < chip_step);
        for &(_, lane, bias) in self.writes[due..].iter().take_while(|w| u64::from(w.0) == chip_step) {
            biases[lane as usize] = bias;
            counters.host_writes += 1;
        }
        let Some(values) = values else { return };
        for map in &self.maps {
            let Some(t) = chip_step.checked_sub(map.begin) else { continue };
            if t >= u64::from(if values.constant { 1 } else { steps }) {
                continue;
            }
            let Some(frame) = values.frame(t as u32) else { continue };
            let m = &map.map;
            let frame = &frame[m.first_channel as usize..];
            for (k, &lane) in map.lanes.iter().enumerate() {
                let terms = m.offsets[k] as usize..m.offsets[k + 1] as usize;
                let sum = host_sum(m.constants[k], &m.weights[terms.clone()], &m.channels[terms], frame);
                let BiasRegister { mantissa, exponent, saturated } = bias_register(sum * m.gains[k], self.mantissa_max, self.exponent_max);
                biases[lane as usize] = i32::from(mantissa) << exponent;
                counters.host_writes += 1;
                counters.bias_saturations += u64::from(saturated);
            }
        }
    }
}

impl Map {
    fn new(k: usize, map: &HostMap, host: &Host, layout: &Layout, skews: &[Option<u32>]) -> Result<Map, BootError> {
        let spot = Spot::host("map", k);
        let targets = map.targets.len();
        for (field, found, expected) in [
            ("offsets", map.offsets.len(), targets + 1),
            ("constants", map.constants.len(), targets),
            ("gains", map.gains.len(), targets),
            ("weights", map.weights.len(), map.channels.len()),
        ] {
            range(spot, field, found as u64, expected as i128, expected as i128)?;
        }
        range(spot, "first_channel", map.first_channel, 0, host.input_width.into())?;
        range(spot, "delay_steps", map.delay_steps, 0, MAX_SKEW.into())?;
        range(spot, "first offset", map.offsets[0], 0, 0)?;
        for pair in map.offsets.windows(2) {
            range(spot, "offsets (ascending)", pair[1], pair[0].into(), map.channels.len() as i128)?;
        }
        range(spot, "last offset", map.offsets[targets], map.channels.len() as i128, map.channels.len() as i128)?;
        for &channel in &map.channels {
            range(spot, "channel", channel, 0, i128::from(host.input_width - map.first_channel) - 1)?;
        }
        for terms in map.offsets.windows(2) {
            for pair in map.channels[terms[0] as usize..terms[1] as usize].windows(2) {
                range(spot, "channel (ascending within a target)", pair[1], pair[0].into(), host.input_width.into())?;
            }
        }
        let finite = |field, all: bool| if all { Ok(()) } else { Err(BootError::NotFinite { spot, field }) };
        finite("weights", map.weights.iter().all(|x| x.is_finite()))?;
        finite("constants", map.constants.iter().all(|x| x.is_finite()))?;
        finite("gains", map.gains.iter().all(|x| x.is_finite()))?;
        let mut lanes = Vec::with_capacity(targets);
        let mut skew = None;
        for place in &map.targets {
            let lane = layout.lane(spot, *place)?;
            let mine = skews[lane as usize].ok_or(BootError::NoSymbol { spot, core: place.core, compartment: place.index })?;
            let first = *skew.get_or_insert(mine);
            range(spot, "skew of a target (as the first target's)", mine, first.into(), first.into())?;
            lanes.push(lane);
        }
        let begin = u64::from(skew.unwrap_or(0)) + u64::from(map.delay_steps);
        Ok(Map { map: map.clone(), lanes, begin })
    }
}
