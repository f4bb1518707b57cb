//! What must be made anew, and when. Pure: facts and a time in, a [`Plan`] out.
//!
//! Everything follows from what the Secret holds, so that any replica that becomes leader, however late, goes on where the last one
//! was. When a new CA was announced is read from its own beginning.
//!
//! | the CA that we can sign with | the leaf | work |
//! |---|---|---|
//! | none, or ends within 90 days | serves for now | a new [`Work::Authority`] beside it |
//! | none, or ends within 90 days | does not serve | [`Work::Everything`] |
//! | good | signed by it, good for 90 days, all names | nothing |
//! | good, announced a moment ago | serves for now, signed by its predecessor | wait |
//! | good | else | a new [`Work::Leaf`] |

use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Certificates are renewed when they end within this time (upstream's lookahead).
pub(super) const AHEAD: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long a leaf is valid; no leaf of a replaced CA can outlive its replacement by more.
pub(super) const LEAF: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long everybody has to learn about a new CA before it is used. The kubelet takes up to about two minutes to project a changed
/// Secret (sync period and cache), processes a few seconds to read it.
pub(super) const OVERLAP: Duration = Duration::from_secs(600);
/// Certificates begin this long before they are made, for clocks that lag.
const BACKDATED: Duration = Duration::from_secs(3600);
/// CAs that are kept at most; a Secret that is deleted again and again must not grow without end.
const MOST: usize = 8;

/// A CA certificate in `ca.crt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ca {
    pub(super) from: SystemTime,
    pub(super) until: SystemTime,
    /// May sign certificates at all.
    pub(super) may_sign: bool,
}

/// The certificate in `tls.crt`, when `tls.key` is its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) from: SystemTime,
    pub(super) until: SystemTime,
    pub(super) names: Vec<String>,
    pub(super) for_both_ends: bool,
    /// Which CA signed it.
    pub(super) issuer: Option<usize>,
}

/// What the Secret holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) cas: Vec<Ca>,
    /// Whose key `ca.key` is.
    pub(super) signer: Option<usize>,
    pub(super) leaf: Option<Leaf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Nothing,
    /// A leaf by the CA that is there.
    Leaf,
    /// A CA, announced beside those that are there. The leaf stays.
    Authority,
    /// A CA and a leaf by it.
    Everything,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) work: Work,
    /// Why, for the log.
    pub(super) why: &'static str,
    /// CAs that are not needed any more.
    pub(super) drop: Vec<usize>,
    /// The leaf that is served changes its CA: the new one must have been announced everywhere.
    pub(super) changes_issuer: bool,
    /// When to look again, if that is sooner than usual.
    pub(super) again: Option<SystemTime>,
}

pub(super) fn plan(facts: &Facts, wanted: &[String], now: SystemTime) -> Plan {
    let drop = superfluous(facts, now);
    let plan = |work, why| Plan { work, why, drop: drop.clone(), changes_issuer: false, again: None };
    let serves = facts.leaf.as_ref().filter(|leaf| serves(facts, leaf, now));
    let signer = facts.signer.and_then(|at| facts.cas.get(at).map(|ca| (at, ca)));
    let fault = match signer {
        None if facts.cas.is_empty() => Some("there is no CA"),
        None => Some("the CA's key is missing or of another CA"),
        Some((_, ca)) if !ca.may_sign || now < ca.from => Some("the CA cannot sign"),
        Some((_, ca)) if ca.until < now + AHEAD => Some("the CA ends within 90 days"),
        Some(_) => None,
    };
    let Some((signer, ca)) = signer.filter(|_| fault.is_none()) else {
        let work = if serves.is_some() { Work::Authority } else { Work::Everything };
        return plan(work, fault.unwrap_or_default());
    };
    let why = match &facts.leaf {
        None => "there is no certificate with its key",
        Some(leaf) if leaf.issuer != Some(signer) => "the certificate is of another CA",
        Some(leaf) if !leaf.for_both_ends => "the certificate is not for servers and clients",
        Some(leaf) if now < leaf.from => "the certificate is not valid yet",
        Some(leaf) if leaf.until < now + AHEAD => "the certificate ends within 90 days",
        Some(leaf) if wanted.iter().any(|name| !leaf.names.contains(name)) => "the certificate lacks a name",
        Some(_) => return plan(Work::Nothing, ""),
    };
    let announced_until = ca.from + BACKDATED + OVERLAP;
    match serves {
        Some(leaf) if leaf.issuer != Some(signer) && now < announced_until => {
            Plan { again: Some(announced_until), ..plan(Work::Nothing, "") }
        }
        Some(leaf) => Plan { changes_issuer: leaf.issuer != Some(signer), ..plan(Work::Leaf, why) },
        None => plan(Work::Leaf, why),
    }
}

/// Whether the leaf is accepted by everybody now, and for long enough to wait for something better.
fn serves(facts: &Facts, leaf: &Leaf, now: SystemTime) -> bool {
    let ca = leaf.issuer.and_then(|at| facts.cas.get(at));
    let valid = |from: SystemTime, until: SystemTime| from <= now && now + OVERLAP + OVERLAP < until;
    leaf.for_both_ends && valid(leaf.from, leaf.until) && ca.is_some_and(|ca| valid(ca.from, ca.until))
}

/// CAs of which no certificate can be valid any more.
fn superfluous(facts: &Facts, now: SystemTime) -> Vec<usize> {
    let issuer = facts.leaf.as_ref().and_then(|leaf| leaf.issuer);
    let in_use = |at: usize| Some(at) == facts.signer || Some(at) == issuer;
    let signer = facts.signer.and_then(|at| facts.cas.get(at));
    // A CA signs nothing once its successor is there.
    let outlived = signer.is_some_and(|signer| signer.from + BACKDATED + OVERLAP + LEAF + DAY <= now);
    let mut drop: Vec<usize> = facts
        .cas
        .iter()
        .enumerate()
        .filter(|(at, ca)| !in_use(*at) && (outlived || ca.until <= now || !ca.may_sign))
        .map(|(at, _)| at)
        .collect();
    let mut rest: Vec<usize> = (0..facts.cas.len()).filter(|at| !drop.contains(at) && !in_use(*at)).collect();
    rest.sort_by_key(|at| std::cmp::Reverse(facts.cas[*at].from));
    drop.extend(rest.into_iter().skip(MOST));
    drop
}
