//! Upstream's recorded verdicts on parameters, asked again of ours.
//!
//! The records lie next to the workspace, in `../shared/upstream/cases`; where they are absent, the run says so and asks
//! nothing. Their README explains the fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keda_api::{GoDuration, Quantity};
use keda_core::metric::MetricSpec;
use keda_core::names;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::{Context, Factory, Parameters, Parsed, PodIdentity, Secret, Secrets};

/// Triggers that the HPA reads by itself. All others have external metrics, which have no utilization.
const TAKE_UTILIZATION: [&str; 2] = ["cpu", "memory"];

/// What a run came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Cases that were asked and agreed.
    pub agreed: usize,
    /// Errors whose text is upstream's too.
    pub equal_texts: usize,
    /// Errors that both give.
    pub errors: usize,
    /// Errors that both give in different words: upstream's and ours. For information.
    pub other_texts: Vec<(String, String)>,
    /// Cases left out: ids with reasons.
    pub skipped: Vec<(String, String)>,
    /// What differs, one line a difference.
    pub differences: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agreed, equal_texts, errors, other_texts, skipped, differences } = self;
        write!(
            f,
            "{agreed} agree ({equal_texts} of {errors} error texts are equal), {} skipped",
            skipped.len()
        )?;
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, reason) in skipped {
            *reasons.entry(reason).or_default() += 1;
        }
        for (reason, count) in reasons {
            write!(f, "\n  {count} skipped: {reason}")?;
        }
        for (theirs, ours) in other_texts {
            write!(f, "\n  in other words: {theirs:?}, ours {ours:?}")?;
        }
        for difference in differences {
            write!(f, "\n  differs: {difference}")?;
        }
        Ok(())
    }
}

/// Folder of the records.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/upstream/cases")
}

/// Asks every recorded case of a trigger. `skips` holds a case's id and a reason a line; a skipped case has to differ.
/// `None`, and a line on stderr, if there are no records here.
pub fn run(factory: &Factory, skips: &str) -> Option<Report> {
    run_records(factory, factory.trigger_type(), skips)
}

/// As [`run`], with the records of another trigger whose parameters are the same.
#[expect(clippy::print_stderr, reason = "test code: the run says what it did")]
pub fn run_records(factory: &Factory, records: &str, skips: &str) -> Option<Report> {
    let trigger = factory.trigger_type();
    let Some(cases) = load(&folder().join(format!("{records}.json"))) else {
        eprintln!("{trigger}: upstream's cases are skipped: {} is not there", folder().display());
        return None;
    };
    let derived = load(&folder().join(format!("derived/{records}.json"))).unwrap_or_default();
    let mut run = Run { factory, skips: skip_list(skips), used: BTreeSet::new(), report: Report::default() };
    let parse_cases: BTreeMap<String, Case> =
        cases.iter().filter(|case| case["kind"] == "parse").filter_map(read_case).collect();
    for (id, case) in &parse_cases {
        run.ask(id, case);
    }
    for raw in &derived {
        let id = raw["id"].as_str().unwrap_or_default().to_owned();
        match derive(raw, &parse_cases) {
            Some(case) => run.ask(&id, &case),
            None => run.report.differences.push(format!("{id}: its base or its change cannot be read")),
        }
    }
    for call in cases.iter().filter(|case| case["kind"] == "metric_name") {
        run.name(call, &parse_cases);
    }
    run.finish();
    eprintln!("{trigger}: upstream's cases: {}", run.report);
    Some(run.report)
}

/// One set of inputs with upstream's answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    metadata: BTreeMap<String, String>,
    auth_params: BTreeMap<String, String>,
    resolved_env: BTreeMap<String, String>,
    pod_identity: Identity,
    metric_type: String,
    trigger_index: usize,
    as_metric_source: bool,
    #[serde(default)]
    scalable_object: ScalableObject,
    #[serde(rename = "globalHTTPTimeout")]
    http_timeout: String,
    verdict: String,
    error: String,
    parsed: Option<Values>,
    #[serde(default, rename = "metric_spec")]
    metric_spec: Vec<Json>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Identity {
    #[serde(default)]
    provider: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct ScalableObject {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Values {
    params: Map<String, Json>,
}

struct Run<'a> {
    factory: &'a Factory,
    skips: BTreeMap<&'a str, &'a str>,
    used: BTreeSet<String>,
    report: Report,
}

impl Run<'_> {
    fn ask(&mut self, id: &str, case: &Case) {
        let found = self.differences(case);
        if let Some(reason) = self.skips.get(id) {
            self.used.insert(id.to_owned());
            self.report.skipped.push((id.to_owned(), (*reason).to_owned()));
            if found.is_empty() {
                self.report.differences.push(format!("{id}: is skipped ({reason}), but agrees"));
            }
        } else if found.is_empty() {
            self.report.agreed += 1;
        } else {
            self.report.differences.extend(found.into_iter().map(|what| format!("{id}: {what}")));
        }
    }

    fn differences(&mut self, case: &Case) -> Vec<String> {
        let ours = case.parse(self.factory, case.trigger_index);
        // The parse function takes any metric type; the constructor around it refuses this one.
        let refused =
            case.metric_type == "Utilization" && !TAKE_UTILIZATION.contains(&self.factory.trigger_type());
        let accepted = case.verdict == "ok" && !refused;
        match (ours, accepted) {
            (Ok(parsed), true) => compare(case, &parsed),
            (Err(_), false) if case.error.is_empty() => Vec::new(),
            (Err(error), false) => {
                self.report.errors += 1;
                let text = error.message.rsplit(" metadata: ").next().unwrap_or_default();
                let theirs = case.error.rsplit(" metadata: ").next().unwrap_or_default();
                if text == theirs {
                    self.report.equal_texts += 1;
                } else {
                    self.report.other_texts.push((theirs.to_owned(), text.to_owned()));
                }
                Vec::new()
            }
            (Ok(_), false) => vec![format!("upstream refuses it: {}", case.error)],
            (Err(error), true) => vec![format!("upstream accepts it, we say: {error}")],
        }
    }

    /// A call of upstream's metric name builder.
    fn name(&mut self, call: &Json, cases: &BTreeMap<String, Case>) {
        let index = call["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or_default();
        let expected = call["name_out"].as_str().unwrap_or_default();
        let built = names::with_index(index, call["name_in"].as_str().unwrap_or_default());
        let case =
            call["case"].as_str().filter(|id| !self.skips.contains_key(id)).and_then(|id| cases.get(id));
        let planned = case.map(|case| case.parse(self.factory, index));
        let planned = match planned {
            Some(Ok(parsed)) => parsed.specs().iter().any(|spec| spec.name() == expected),
            Some(Err(_)) => false,
            None => true,
        };
        if built == expected && planned {
            self.report.agreed += 1;
        } else {
            self.report
                .differences
                .push(format!("metric name {expected}: built {built}, planned: {planned}"));
        }
    }

    fn finish(&mut self) {
        for id in self.skips.keys().filter(|id| !self.used.contains(**id)) {
            self.report.differences.push(format!("{id}: is skipped, but there is no such case"));
        }
    }
}

impl Case {
    fn parse(&self, factory: &Factory, index: usize) -> Result<Parsed, crate::Error> {
        let auth = self.auth_params.iter().map(|(key, value)| (key.clone(), Secret::from(value.as_str())));
        let parameters = Parameters {
            metadata: self.metadata.clone(),
            auth: auth.collect(),
            env: self.resolved_env.clone(),
        };
        let timeout = self.http_timeout.parse::<GoDuration>().ok().and_then(GoDuration::to_std);
        let context = Context {
            index,
            metric_type: Some(self.metric_type.clone()),
            as_metric_source: self.as_metric_source,
            namespace: self.scalable_object.namespace.clone(),
            object_name: self.scalable_object.name.clone(),
            pod_identity: PodIdentity::from_provider(&self.pod_identity.provider),
            http_timeout: timeout.unwrap_or(Duration::ZERO),
            ..Context::default()
        };
        factory.parse(&parameters, &context)
    }
}

fn compare(case: &Case, parsed: &Parsed) -> Vec<String> {
    let mut differences = Vec::new();
    let ours = parsed.values(Secrets::Shown);
    for (name, theirs) in case.parsed.iter().flat_map(|values| &values.params) {
        match ours.get(name) {
            Some(value) if equal(value, theirs) => {}
            Some(value) => differences.push(format!("{name} is {theirs}, ours is {value}")),
            None => differences.push(format!("{name} is not declared")),
        }
    }
    let specs = parsed.specs();
    for (at, spec) in case.metric_spec.iter().enumerate() {
        if spec["external"].is_null() {
            differences.extend(compare_resource(spec, specs.get(at)));
            continue;
        }
        let theirs = &spec["external"];
        let target = theirs["target"]
            .as_object()
            .and_then(|target| target.get("value").or(target.get("averageValue")));
        let target = target.and_then(Json::as_str).and_then(|text| text.parse::<Quantity>().ok());
        let Some(ours) = specs.get(at) else {
            differences.push(format!("metric {at} is not planned"));
            continue;
        };
        if Some(ours.name()) != theirs["metric"]["name"].as_str() {
            differences.push(format!(
                "metric {at} is called {}, ours {}",
                theirs["metric"]["name"],
                ours.name()
            ));
        }
        if target.as_ref().is_some_and(|target| target != ours.target()) {
            differences.push(format!(
                "the target of {} is {}, ours {}",
                ours.name(),
                theirs["target"],
                ours.target()
            ));
        }
    }
    differences
}

/// A metric that the HPA reads by itself; which resource it is depends on the trigger, not on the records.
fn compare_resource(theirs: &Json, ours: Option<&MetricSpec>) -> Option<String> {
    let (kind, container) = match (&theirs["resource"], &theirs["containerResource"]) {
        (Json::Null, source) => ("ContainerResource", source["container"].as_str()),
        _ => ("Resource", None),
    };
    let target = &theirs[if container.is_some() { "containerResource" } else { "resource" }]["target"];
    let target = target["averageUtilization"]
        .as_i64()
        .map(Quantity::from)
        .or_else(|| target["averageValue"].as_str().and_then(|text| text.parse().ok()));
    let agrees = match ours {
        Some(MetricSpec::Resource { container: mine, target: mine_target, .. }) => {
            mine.as_deref() == container && target.as_ref() == Some(mine_target)
        }
        _ => false,
    };
    (!agrees).then(|| format!("upstream has the {kind} metric {theirs}, ours is {ours:?}"))
}

/// Numbers by value, everything else literally.
fn equal(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
        _ => ours == theirs,
    }
}

fn load(file: &Path) -> Option<Vec<Json>> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

fn read_case(raw: &Json) -> Option<(String, Case)> {
    let case = Case::deserialize(raw).ok()?;
    Some((raw["id"].as_str()?.to_owned(), case))
}

/// The base case with its change: first what is unset, then what is set, maps key by key.
fn derive(raw: &Json, cases: &BTreeMap<String, Case>) -> Option<Case> {
    let mut case = cases.get(raw["base"].as_str()?)?.clone();
    case.metric_spec.clear();
    let change = &raw["change"];
    for (name, keys) in change["unset"].as_object().into_iter().flatten() {
        for key in keys.as_array()?.iter().filter_map(Json::as_str) {
            case.map(name)?.remove(key);
        }
    }
    for (name, value) in change["set"].as_object().into_iter().flatten() {
        match name.as_str() {
            "podIdentity" => case.pod_identity = Identity::deserialize(value).ok()?,
            "metricType" => case.metric_type = value.as_str()?.to_owned(),
            "asMetricSource" => case.as_metric_source = value.as_bool()?,
            map => {
                for (key, value) in value.as_object()? {
                    case.map(map)?.insert(key.clone(), value.as_str()?.to_owned());
                }
            }
        }
    }
    case.verdict = raw["verdict"].as_str()?.to_owned();
    case.error = raw["error"].as_str().unwrap_or_default().to_owned();
    for (path, value) in raw["parsed_changes"].as_object().into_iter().flatten() {
        if let (Some(name), Some(parsed)) = (path.strip_prefix("params."), &mut case.parsed) {
            parsed.params.insert(name.to_owned(), value.clone());
        }
    }
    Some(case)
}

impl Case {
    fn map(&mut self, name: &str) -> Option<&mut BTreeMap<String, String>> {
        match name {
            "metadata" => Some(&mut self.metadata),
            "authParams" => Some(&mut self.auth_params),
            "resolvedEnv" => Some(&mut self.resolved_env),
            _ => None,
        }
    }
}

fn skip_list(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(char::is_whitespace).unwrap_or((line, "no reason given"))).collect()
}
