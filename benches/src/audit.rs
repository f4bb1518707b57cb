//! Who asked the API server for what: counted from its audit log, which holds every write, and the reads of KEDA's own
//! accounts. A request that has not ended, such as a watch, is not in it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::PathBuf,
};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::control_plane::ControlPlane;

/// The audit log of a control plane.
pub(crate) struct Audit {
    path: PathBuf,
}

/// A place in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u64);

/// Requests by user and by what they did: `patch scaledobjects/status`.
pub(crate) type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// What was asked within a span of time.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Requests {
    /// Everything that changes an object, or asks for a review. The renewal of leases is counted as `leases`.
    pub(crate) writes: Counts,
    /// The rest.
    pub(crate) reads: Counts,
}

impl Requests {
    /// Writes of objects that matter: leases and reviews do not.
    pub(crate) fn changes(&self) -> u64 {
        let ends = ["leases", "subjectaccessreviews", "tokenreviews", "serviceaccounts/token"];
        let counted = self.writes.values().flatten();
        counted.filter(|(what, _)| !ends.iter().any(|end| what.ends_with(end))).map(|(_, count)| count).sum()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    verb: String,
    user: User,
    object_ref: Option<ObjectRef>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
}

impl Audit {
    /// The log of this control plane.
    pub(crate) fn of(control_plane: &ControlPlane) -> Self {
        Self { path: control_plane.path("log/audit.log") }
    }

    /// The end of the log as it is now.
    pub(crate) fn mark(&self) -> Result<Mark> {
        Ok(Mark(self.path.metadata()?.len()))
    }

    /// What came since `mark`, but for the administrator's requests, which are this tool's own.
    pub(crate) fn since(&self, mark: Mark) -> Result<Requests> {
        let mut log = BufReader::new(File::open(&self.path)?);
        log.seek(SeekFrom::Start(mark.0))?;
        let mut requests = Requests::default();
        for line in log.lines() {
            // The last line may be in the middle of being written.
            let Ok(entry) = serde_json::from_str::<Entry>(&line?) else { continue };
            let user = entry.user.username;
            if user == "admin" || user == "system:apiserver" {
                continue;
            }
            let writing =
                matches!(entry.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
            let ObjectRef { resource, subresource } = entry.object_ref.unwrap_or_default();
            let slash = if subresource.is_empty() { "" } else { "/" };
            let what = format!("{} {resource}{slash}{subresource}", entry.verb);
            let counts = if writing { &mut requests.writes } else { &mut requests.reads };
            let short = user.trim_start_matches("system:serviceaccount:").to_owned();
            *counts.entry(short).or_default().entry(what).or_default() += 1;
        }
        Ok(requests)
    }
}
