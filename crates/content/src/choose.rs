//! Which parts of a body a client processes (section 4.4).

use crate::media::{GFM_MIMI, TEXT_PLAIN, is_container, is_media_type};
use crate::part::{MultiPart, NestedPart, Part, PartSemantics};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// How well a client shows a single or external part: lower is better; none if it cannot.
///
/// It sees the whole part, to judge by media type, language, disposition or size. A client that prefers PNG to GIF
/// ranks PNG lower; one that reads French ranks French lower.
pub type Rank<'r> = &'r dyn Fn(&NestedPart) -> Option<u32>;

/// The rank of a client that shows the two required text types, Markdown first (section 7.1), and offers external
/// content for download.
#[must_use]
pub fn text_rank(part: &NestedPart) -> Option<u32> {
    match &part.part {
        Part::Single(single) if is_media_type(&single.content_type, GFM_MIMI) => Some(0),
        Part::Single(single) if is_media_type(&single.content_type, TEXT_PLAIN) => Some(1),
        Part::External(_) => Some(2),
        _ => None,
    }
}

/// The parts of a body that a client processes, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// The parts.
    pub leaves: Vec<Leaf<'a>>,
    /// The number of parts that the client should have processed and could not. Tell the user.
    pub skipped: usize,
}

/// A single or external part that a client processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// The part's index in its message.
    pub index: usize,
    /// The part.
    pub part: &'a NestedPart,
    /// The indices of parts that this one shows in itself, by `cid:INDEX@local.invalid`: they are in the message, can be
    /// shown, and are not processed again.
    pub shows: Vec<usize>,
}

impl<'a> Leaf<'a> {
    /// The text, if the part is here, of type `text/*`, and UTF-8. Control characters are in it as they came: see
    /// [`safe::text`](crate::safe::text).
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        let Part::Single(single) = &self.part.part else { return None };
        let kind = single.content_type.get(..5)?;
        if kind.eq_ignore_ascii_case("text/") {
            core::str::from_utf8(&single.content).ok()
        } else {
            None
        }
    }
}

/// What a part would come to if it were chosen.
struct Plan<'a> {
    skipped: usize,
    /// The rank of the worst part of it.
    worst: u32,
    leaves: Vec<Leaf<'a>>,
}

/// Evaluates a body: picks one part of each `chooseOne`, all or nothing of each `singleUnit`, and what can be shown of
/// each `processAll`. Parts that a part before them shows in itself are not processed again.
///
/// Of a choice, the client takes what leaves the least unprocessed, then what it shows best, then what comes first: the
/// order is the sender's preference.
#[must_use]
pub fn choose<'a>(body: &'a NestedPart, rank: Rank<'_>) -> Chosen<'a> {
    let Some(plan) = plan(body, &mut 0, rank) else {
        return Chosen { leaves: Vec::new(), skipped: 1 };
    };

    let shown: BTreeSet<usize> = plan.leaves.iter().map(|leaf| leaf.index).collect();
    let mut done = BTreeSet::new();
    let mut leaves = Vec::new();
    for mut leaf in plan.leaves {
        if done.contains(&leaf.index) {
            continue;
        }
        let referred = references(leaf.part).filter(|at| *at != leaf.index && shown.contains(at));
        leaf.shows = referred.filter(|at| done.insert(*at)).collect();
        leaves.push(leaf);
    }
    Chosen { leaves, skipped: plan.skipped }
}

/// What a part comes to; nothing if the client cannot process it. `next` is the part's index, then that of what
/// follows. The depth of parts is bounded where they are decoded.
fn plan<'a>(part: &'a NestedPart, next: &mut usize, rank: Rank<'_>) -> Option<Plan<'a>> {
    let index = *next;
    *next += 1;
    match &part.part {
        // There is nothing to process, so nothing to fail at; any other choice is better.
        Part::Null => Some(Plan { skipped: 0, worst: u32::MAX, leaves: Vec::new() }),
        Part::Single(_) | Part::External(_) => {
            let leaf = Leaf { index, part, shows: Vec::new() };
            rank(part).map(|worst| Plan { skipped: 0, worst, leaves: Vec::from([leaf]) })
        }
        Part::Multi(multi) => plan_multi(multi, next, rank),
        Part::Unknown(_) => None,
    }
}

fn plan_multi<'a>(multi: &'a MultiPart, next: &mut usize, rank: Rank<'_>) -> Option<Plan<'a>> {
    // All are evaluated, so that each has its index.
    let plans: Vec<_> = multi.parts.iter().map(|part| plan(part, next, rank)).collect();
    let impossible = plans.iter().filter(|plan| plan.is_none()).count();
    let possible = plans.into_iter().flatten();
    match multi.part_semantics {
        PartSemantics::ChooseOne => possible.min_by_key(|plan| (plan.skipped, plan.worst)),
        PartSemantics::SingleUnit if impossible > 0 => None,
        PartSemantics::SingleUnit | PartSemantics::ProcessAll => {
            let all = possible.reduce(|mut all, plan| {
                all.skipped += plan.skipped;
                all.worst = all.worst.max(plan.worst);
                all.leaves.extend(plan.leaves);
                all
            });
            all.map(|all| Plan { skipped: all.skipped + impossible, ..all })
        }
    }
}

/// The part indices that a part refers to by `cid:`, if it is of a type that does.
fn references(part: &NestedPart) -> impl Iterator<Item = usize> {
    let text = match &part.part {
        Part::Single(single) if is_container(&single.content_type) => {
            core::str::from_utf8(&single.content).unwrap_or_default()
        }
        _ => "",
    };
    text.split("cid:").skip(1).filter_map(|rest| {
        let (index, rest) = rest.split_once('@')?;
        let is_number = index.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && rest.starts_with("local.invalid") { index.parse().ok() } else { None }
    })
}
