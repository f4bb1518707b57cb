//! The decisions, row by row.

use std::time::{Duration, SystemTime};

use super::{
    super::plan::{Ca, Facts, Leaf, OVERLAP, Work, plan},
    DAY,
};

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

/// A CA that was made `age` ago.
fn ca(age: Duration) -> Ca {
    let made = now() - age;
    Ca { from: made - HOUR, until: made + 3650 * DAY, may_sign: true }
}

/// A leaf that was made `age` ago by a CA.
fn leaf(age: Duration, issuer: Option<usize>) -> Leaf {
    let made = now() - age;
    Leaf {
        from: made - HOUR,
        until: made + 365 * DAY,
        names: vec!["a".to_owned(), "b".to_owned()],
        for_both_ends: true,
        issuer,
    }
}

fn facts(cas: &[Ca], signer: Option<usize>, leaf: Option<Leaf>) -> Facts {
    Facts { cas: cas.to_vec(), signer, leaf }
}

#[test]
fn what_is_made_anew() {
    let minute = Duration::from_secs(60);
    let young = leaf(DAY, Some(0));
    let renewed = [ca(DAY), ca(3570 * DAY)];
    let rows: Vec<(&str, Facts, Work)> = vec![
        ("nothing there", Facts::default(), Work::Everything),
        ("all good", facts(&[ca(DAY)], Some(0), Some(young.clone())), Work::Nothing),
        (
            "leaf with 91 days",
            facts(&[ca(280 * DAY)], Some(0), Some(leaf(274 * DAY, Some(0)))),
            Work::Nothing,
        ),
        ("leaf with 89 days", facts(&[ca(280 * DAY)], Some(0), Some(leaf(276 * DAY, Some(0)))), Work::Leaf),
        ("leaf has ended", facts(&[ca(400 * DAY)], Some(0), Some(leaf(366 * DAY, Some(0)))), Work::Leaf),
        ("no leaf, or another key", facts(&[ca(DAY)], Some(0), None), Work::Leaf),
        (
            "a name that is not the first is missing",
            facts(&[ca(DAY)], Some(0), Some(Leaf { names: vec!["a".to_owned()], ..young.clone() })),
            Work::Leaf,
        ),
        (
            "for servers only",
            facts(&[ca(DAY)], Some(0), Some(Leaf { for_both_ends: false, ..young.clone() })),
            Work::Leaf,
        ),
        ("leaf of nobody", facts(&[ca(DAY)], Some(0), Some(leaf(DAY, None))), Work::Leaf),
        (
            "CA with 89 days, leaf good",
            facts(&[ca(3561 * DAY)], Some(0), Some(young.clone())),
            Work::Authority,
        ),
        ("CA with 89 days, no leaf", facts(&[ca(3561 * DAY)], Some(0), None), Work::Everything),
        ("CA's key lost, leaf good", facts(&[ca(DAY)], None, Some(young.clone())), Work::Authority),
        (
            "CA's key lost, leaf ended",
            facts(&[ca(500 * DAY)], None, Some(leaf(366 * DAY, Some(0)))),
            Work::Everything,
        ),
        (
            "CA has ended under a leaf that has not",
            facts(&[ca(3651 * DAY)], Some(0), Some(young.clone())),
            Work::Everything,
        ),
        ("not a CA", facts(&[Ca { may_sign: false, ..ca(DAY) }], Some(0), Some(young)), Work::Authority),
        (
            "a new CA, announced just now",
            facts(&[ca(minute), ca(3570 * DAY)], Some(0), Some(leaf(DAY, Some(1)))),
            Work::Nothing,
        ),
        ("a new CA, announced long enough", facts(&renewed, Some(0), Some(leaf(DAY, Some(1)))), Work::Leaf),
        (
            "a new CA, announced just now, but the leaf ends at once",
            facts(&[ca(minute), ca(3570 * DAY)], Some(0), Some(leaf(365 * DAY - minute, Some(1)))),
            Work::Leaf,
        ),
    ];
    let wanted = ["a".to_owned(), "b".to_owned()];
    for (what, facts, work) in rows {
        let plan = plan(&facts, &wanted, now());
        assert_eq!(plan.work, work, "{what}: {plan:?}");
        assert_eq!(plan.why.is_empty(), work == Work::Nothing, "{what}: {plan:?}");
    }
}

#[test]
fn a_new_authority_is_used_ten_minutes_after_it_was_announced() {
    let facts = facts(&[ca(Duration::ZERO), ca(3570 * DAY)], Some(0), Some(leaf(DAY, Some(1))));
    let first = plan(&facts, &[], now());
    assert_eq!((first.work, first.again), (Work::Nothing, Some(now() + OVERLAP)));
    let then = plan(&facts, &[], now() + OVERLAP);
    assert_eq!((then.work, then.changes_issuer, then.again), (Work::Leaf, true, None));
}

#[test]
fn authorities_stay_until_nothing_of_theirs_is_valid() {
    let rows: [(&str, Facts, &[usize]); 5] = [
        (
            "the predecessor of a young CA",
            facts(&[ca(DAY), ca(3570 * DAY)], Some(0), Some(leaf(DAY, Some(0)))),
            &[],
        ),
        ("365 days later", facts(&[ca(365 * DAY), ca(3570 * DAY)], Some(0), Some(leaf(DAY, Some(0)))), &[]),
        ("367 days later", facts(&[ca(367 * DAY), ca(3570 * DAY)], Some(0), Some(leaf(DAY, Some(0)))), &[1]),
        (
            "while its leaf is served",
            facts(&[ca(367 * DAY), ca(3570 * DAY)], Some(0), Some(leaf(DAY, Some(1)))),
            &[],
        ),
        ("when it has ended", facts(&[ca(DAY), ca(3651 * DAY)], Some(0), Some(leaf(DAY, Some(0)))), &[1]),
    ];
    for (what, facts, dropped) in rows {
        assert_eq!(plan(&facts, &[], now()).drop, dropped, "{what}");
    }
    let many: Vec<Ca> = (1..=20).map(|days| ca(days * DAY)).collect();
    let plan = plan(&facts(&many, Some(0), Some(leaf(DAY, Some(19)))), &[], now());
    assert_eq!(
        plan.drop,
        (9..19).collect::<Vec<_>>(),
        "the newest eight, the signer, and the one in use stay"
    );
}
