//! `filePath`: a JSON object of texts in the operator's container, in place of every other source (auth.md §1.4).

use std::collections::BTreeMap;
use std::io::Read as _;

use keda_scaler::Secret;

use crate::{Error, Files, ReadKey};

/// A larger file is no list of parameters.
const LARGEST: u64 = 1024 * 1024;

/// Reads the parameters. Only a ClusterTriggerAuthentication, which a cluster's administrator writes, may name files.
pub(crate) fn params(origin: &ReadKey, path: &str, files: &Files) -> Result<BTreeMap<String, Secret>, Error> {
    let refused =
        |why: &str| Error::File { origin: origin.clone(), path: path.to_owned(), why: why.to_owned() };
    if origin.namespace.is_some() {
        return Err(refused(
            "is not allowed: only a ClusterTriggerAuthentication may read files of the operator",
        ));
    }
    if path.starts_with('/') || path.contains("..") {
        return Err(refused("is not allowed: it must be relative, without \"..\""));
    }
    let root = match files {
        Files::Below(root) => root,
        Files::Off => {
            return Err(refused("is not allowed: the operator runs without --filepath-auth-root-path"));
        }
        Files::Elsewhere => {
            return Err(Error::ElsewhereFile { origin: origin.clone(), path: path.to_owned() });
        }
    };
    // Mounted Secrets are links to regular files, and small ones in memory.
    let place = root.join(path);
    let metadata = std::fs::metadata(&place).map_err(|error| refused(&format!("cannot be read: {error}")))?;
    if !metadata.is_file() {
        return Err(refused("is no regular file"));
    }
    if metadata.len() > LARGEST {
        return Err(refused("is larger than 1 MiB"));
    }
    let mut text = String::new();
    std::fs::File::open(&place)
        .and_then(|file| file.take(LARGEST).read_to_string(&mut text))
        .map_err(|error| refused(&format!("cannot be read: {error}")))?;
    // The parser's own text could quote the file, which holds credentials.
    let values: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&text).map_err(|_| refused("holds no JSON object"))?;
    values
        .into_iter()
        .map(|(parameter, value)| match value {
            serde_json::Value::String(text) => Ok((parameter, Secret::from(text))),
            _ => Err(refused(&format!("holds no text under {parameter:?}: every value has to be a text"))),
        })
        .collect()
}
