//! Recent changes of one kind.

use std::{collections::VecDeque, sync::Arc};

use serde_json::Value;

use super::HISTORY;

/// One change of one object.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    /// The object after the change; for a deletion, its last state.
    pub(crate) object: Arc<Value>,
    /// The object before the change; `None` for a creation.
    pub(crate) previous: Option<Arc<Value>>,
    pub(crate) gone: bool,
}

/// What a change is to somebody who follows a part of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

impl Change {
    /// What the change is to a watch that sees the objects for which `sees` holds; `None` if it sees nothing of it.
    pub(crate) fn kind(&self, sees: impl Fn(&Value) -> bool) -> Option<ChangeKind> {
        let before = self.previous.as_deref().is_some_and(&sees);
        let after = !self.gone && sees(&self.object);
        match (before, after) {
            (false, true) => Some(ChangeKind::Added),
            (true, true) => Some(ChangeKind::Modified),
            (true, false) => Some(ChangeKind::Deleted),
            (false, false) => None,
        }
    }
}

/// The history no longer reaches back that far: it begins after `floor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) floor: u64,
}

#[derive(Debug, Default)]
pub(super) struct History {
    changes: VecDeque<Change>,
    /// New watches cannot start before this revision.
    floor: u64,
    /// The last change that is no longer kept: a watch that has seen it has missed nothing.
    trimmed: u64,
}

impl History {
    pub(super) fn push(&mut self, change: Change) {
        if self.changes.len() == HISTORY
            && let Some(oldest) = self.changes.pop_front()
        {
            self.floor = oldest.revision;
            self.trimmed = oldest.revision;
        }
        self.changes.push_back(change);
    }

    pub(super) fn since(&self, seen: u64) -> Result<Vec<Change>, Lost> {
        if seen < self.trimmed {
            return Err(Lost { floor: self.floor });
        }
        let from = self.changes.partition_point(|change| change.revision <= seen);
        Ok(self.changes.range(from..).cloned().collect())
    }

    pub(super) fn reaches_back_to(&self, revision: u64) -> Result<(), Lost> {
        if revision < self.floor { Err(Lost { floor: self.floor }) } else { Ok(()) }
    }

    pub(super) fn compact(&mut self, revision: u64) {
        if let Some(last) = self.changes.back() {
            self.trimmed = last.revision;
        }
        self.changes.clear();
        self.floor = revision;
    }
}
