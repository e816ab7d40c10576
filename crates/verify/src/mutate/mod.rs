//! Mutators: one fault for each field of a bundle, and one for each class of its memories.
//!
//! In: a bundle that verifies, and a seed. Out: the bundle with one fault, or `None` where the fault has no place in it.
//! Invariant: every struct is taken apart without `..`, so that a new field doesn't compile without a mutator. A mutant whose image means the
//! same in other widths is none: it is not made. Cost: a clone of the bundle. Why: a checker that nothing escapes is tested by
//! what should not escape it.

mod bundle;
mod copies;
mod crossbar;
mod event;
mod image;
mod integers;
mod nudge;
mod reference;
mod target;

use crate::family;
use crate::image::{Given, check_image};
pub use nudge::{Nudge, Random};
use spikec_chip::bundle::Bundle;
use spikec_sim::Machine;

/// How a mutant must be caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Catch {
    /// Container, boot or image check refuse it, or the image check finds a difference.
    Refusal,
    /// The same, or the statement that the verdict makes is another one ([`crate::Choices`]): no network can confirm or deny a choice.
    Statement,
}

/// A way to make one fault.
#[derive(Debug, Clone, Copy)]
pub struct Mutator {
    /// Struct and field, or memory.
    pub name: &'static str,
    /// How its mutants must be caught.
    pub catch: Catch,
    /// The mutant; `None` when the fault has no place in this bundle.
    pub apply: fn(&Bundle, u64) -> Option<Bundle>,
}

/// What caught a mutant.
#[derive(Debug, Clone, PartialEq)]
pub enum Caught {
    /// The image check found this difference first.
    Difference(String),
    /// The image check refused it.
    Refused(String),
    /// It is no valid container.
    Container(String),
    /// It doesn't boot.
    Boot(String),
    /// The verdict's statement is another one.
    Statement,
    /// Nothing did.
    Nothing,
}

impl Caught {
    /// True when that is enough for a mutator's [`Catch`].
    pub fn suffices(&self, catch: Catch) -> bool {
        match self {
            Caught::Nothing => false,
            Caught::Statement => catch == Catch::Statement,
            Caught::Difference(_) | Caught::Refused(_) | Caught::Container(_) | Caught::Boot(_) => true,
        }
    }
}

/// Tries everything that may catch a mutant: the image check against `given`, then container, boot and statement.
/// `given` is the network as a user would give it: inputs coded as the *mutant's* encoder says.
pub fn catch(original: &Bundle, mutant: &Bundle, given: &Given) -> Caught {
    match check_image(mutant, given) {
        Err(e) => return Caught::Refused(e.to_string()),
        Ok(verdict) if !verdict.holds() => return Caught::Difference(verdict.differences[0].to_string()),
        Ok(_) => {}
    }
    if let Err(e) = Bundle::from_bytes(&mutant.to_bytes()) {
        return Caught::Container(e.to_string());
    }
    if let Err(e) = Machine::boot(mutant.loadable()) {
        return Caught::Boot(e.to_string());
    }
    match (family::choices(original), family::choices(mutant)) {
        (Some(a), Some(b)) if a != b => Caught::Statement,
        _ => Caught::Nothing,
    }
}

/// Applies an edit to a value: the place where a closure's types are known.
fn edit<T>(value: &mut T, random: &mut Random, with: impl FnOnce(&mut T, &mut Random) -> bool) -> bool {
    with(value, random)
}

/// Pushes one mutator for each field of a struct onto a list. `visit` finds a value of the struct in a bundle, hands it to an edit and puts it
/// back; false when there is none. A field without an edit is nudged. The list of fields must be complete: that is checked by a pattern.
macro_rules! fields {
    ($out:ident, $ty:path, $visit:path, { $($field:ident: $catch:ident $(=> $edit:expr)?),+ $(,)? }) => {
        const _: fn(&$ty) = |value| {
            let $ty { $($field: _),+ } = value;
        };
        $($out.push($crate::mutate::Mutator {
            name: concat!(stringify!($ty), ".", stringify!($field)),
            catch: $crate::mutate::Catch::$catch,
            apply: |bundle, seed| {
                let mut mutant = bundle.clone();
                let mut random = $crate::mutate::Random::new(seed);
                let done = $visit(&mut mutant, &mut random, &mut |value: &mut $ty, random: &mut $crate::mutate::Random| {
                    fields!(@edit value, random, $field $(, $edit)?)
                });
                (done && mutant != *bundle).then_some(mutant)
            },
        });)+
    };
    (@edit $value:ident, $random:ident, $field:ident) => {
        $crate::mutate::Nudge::nudge(&mut $value.$field, $random)
    };
    (@edit $value:ident, $random:ident, $field:ident, $edit:expr) => {
        $crate::mutate::edit($value, $random, $edit)
    };
}
use fields;

/// What an edit of a `T` looks like to a visitor.
type Edit<'a, T> = &'a mut dyn FnMut(&mut T, &mut Random) -> bool;

/// Edits one element.
fn choose<T>(list: &mut [T], random: &mut Random, edit: Edit<T>) -> bool {
    let k = random.below(list.len());
    list.get_mut(k).is_some_and(|v| edit(v, random))
}

/// All mutators, in the order of the bundle's sections.
pub fn all_mutators() -> Vec<Mutator> {
    let mut all = Vec::new();
    bundle::push(&mut all);
    target::push(&mut all);
    image::push(&mut all);
    copies::push(&mut all);
    reference::push(&mut all);
    crossbar::push(&mut all);
    event::push(&mut all);
    integers::push(&mut all);
    all
}

#[cfg(test)]
mod tests;
