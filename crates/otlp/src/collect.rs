//! From the registry's series to OTLP's data points.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use keda_telemetry::metrics::{
    Registry, Sample,
    table::{Attribute, Definition, Instrument, Kind, Points},
};

use crate::api::{
    AggregationTemporality, AnyValue, ExportMetricsServiceRequest, Gauge, Histogram, HistogramDataPoint,
    InstrumentationScope, KeyValue, Metric, NumberDataPoint, Resource, ResourceMetrics, ScopeMetrics, Sum,
    any_value, metric::Data, number_data_point::Value,
};

/// Upstream's name of its meter (`pkg/metricscollector/opentelemetry.go`).
const METER: &str = "keda-open-telemetry-metrics";
/// Data points of one message: collectors take 4 MiB unless told otherwise.
const POINTS: usize = 2000;

/// Nanoseconds since 1970, as OTLP counts time.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// An instrument's series.
type Key = (&'static str, Box<[Box<str>]>);

/// What was last told of a series that adds up.
#[derive(Clone, Debug)]
struct Told {
    /// Since when it adds up.
    start: u64,
    /// When it was told.
    at: u64,
    value: f64,
    counts: Box<[u64]>,
}

/// One data point on its way.
pub(crate) struct Point {
    instrument: &'static Instrument,
    data: PointData,
    /// What will have been told once it has arrived; nothing for gauges.
    told: Option<(Key, Told)>,
}

enum PointData {
    Number(NumberDataPoint),
    Histogram(HistogramDataPoint),
}

/// Reads the registry, and remembers what the collector has been told.
pub(crate) struct Collection {
    resource: Resource,
    delta: bool,
    /// When this began; what is there at the first reading counts from here.
    began: u64,
    /// The time of the last reading.
    last: u64,
    told: HashMap<Key, Told>,
}

impl Collection {
    pub(crate) fn new(resource: &[(String, String)], delta: bool) -> Self {
        let attributes = resource.iter().map(|(key, value)| text(key, value.clone())).collect();
        let began = now();
        Self { resource: Resource { attributes }, delta, began, last: began, told: HashMap::new() }
    }

    /// Every data point of now, those of an instrument next to each other.
    pub(crate) fn read(&mut self, registry: &Registry) -> Vec<Point> {
        // Never the same instant twice: an interval of no length is none.
        let now = now().max(self.last + 1);
        let mut points = Vec::new();
        let mut told = HashMap::new();
        for (definition, samples) in registry.pushed() {
            for instrument in definition.instruments {
                for sample in &samples {
                    let point = self.point(definition, instrument, sample, now);
                    if let Some((key, _)) = point.as_ref().and_then(|point| point.told.as_ref())
                        && let Some(known) = self.told.remove(key)
                    {
                        told.insert(key.clone(), known);
                    }
                    points.extend(point.filter(|point| !self.is_silent(point)));
                }
            }
        }
        // What is gone is forgotten: should it come again, it begins again.
        self.told = told;
        self.last = now;
        points
    }

    /// A difference of nothing is not worth a message.
    fn is_silent(&self, point: &Point) -> bool {
        let nothing = match &point.data {
            PointData::Histogram(point) => point.count == 0,
            PointData::Number(point) => point.value == Some(Value::AsInt(0)),
        };
        let differs = matches!(point.instrument.points, Points::Counter | Points::Histogram);
        self.delta && differs && nothing
    }

    fn point(
        &self,
        definition: &'static Definition,
        instrument: &'static Instrument,
        sample: &Sample,
        now: u64,
    ) -> Option<Point> {
        let attributes = attributes(definition, instrument, sample);
        let gauge = |value| {
            let point = NumberDataPoint {
                attributes: attributes.clone(),
                time_unix_nano: now,
                value: Some(value),
                ..NumberDataPoint::default()
            };
            Some(Point { instrument, data: PointData::Number(point), told: None })
        };
        match instrument.points {
            Points::Gauge => return gauge(Value::AsDouble(sample.value)),
            Points::WholeGauge => return gauge(Value::AsInt(whole(sample.value))),
            Points::Milliseconds => return gauge(Value::AsDouble((sample.value * 1000.0).trunc())),
            Points::Counter | Points::UpDownCounter | Points::Histogram => {}
        }
        let key: Key = (instrument.name, sample.values.clone());
        let known = self.told.get(&key);
        let fell = |known: &Told| instrument.points != Points::UpDownCounter && sample.value < known.value;
        let known = known.filter(|known| !fell(known));
        let start = match known {
            Some(known) => known.start,
            None if self.last == self.began => self.began,
            None => self.last,
        };
        let told = Told { start, at: now, value: sample.value, counts: sample.counts.clone() };
        // A sum that goes both ways is always told whole.
        let known = known.filter(|_| self.delta && instrument.points != Points::UpDownCounter);
        let since = known.map_or(start, |known| known.at);
        let before = known.map_or(0.0, |known| known.value);
        let data = match definition.kind {
            Kind::Histogram(bounds) => {
                let earlier = |bucket: usize| known.and_then(|known| known.counts.get(bucket)).copied();
                let counts: Vec<u64> = sample
                    .counts
                    .iter()
                    .enumerate()
                    .map(|(bucket, count)| count.saturating_sub(earlier(bucket).unwrap_or(0)))
                    .collect();
                PointData::Histogram(HistogramDataPoint {
                    attributes,
                    start_time_unix_nano: since,
                    time_unix_nano: now,
                    count: counts.iter().sum(),
                    sum: Some(sample.value - before),
                    bucket_counts: counts,
                    explicit_bounds: bounds.to_vec(),
                })
            }
            Kind::Gauge | Kind::Counter => PointData::Number(NumberDataPoint {
                attributes,
                start_time_unix_nano: since,
                time_unix_nano: now,
                value: Some(Value::AsInt(whole(sample.value - before))),
            }),
        };
        Some(Point { instrument, data, told: Some((key, told)) })
    }

    /// Messages that together hold all points, each with what it tells.
    pub(crate) fn messages(
        &self,
        points: &[Point],
    ) -> Vec<(ExportMetricsServiceRequest, std::ops::Range<usize>)> {
        let ends = (0..points.len()).step_by(POINTS).map(|from| from..(from + POINTS).min(points.len()));
        ends.map(|range| (self.message(&points[range.clone()]), range)).collect()
    }

    fn message(&self, points: &[Point]) -> ExportMetricsServiceRequest {
        let metrics = points.chunk_by(|a, b| a.instrument.name == b.instrument.name);
        let scope = InstrumentationScope { name: METER.to_owned(), version: String::new() };
        let metrics = metrics.map(|points| metric(points, self.delta)).collect();
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics }],
            }],
        }
    }

    /// These have arrived.
    pub(crate) fn arrived(&mut self, points: &[Point]) {
        self.told.extend(points.iter().filter_map(|point| point.told.clone()));
    }
}

/// Points of one instrument.
fn metric(points: &[Point], delta: bool) -> Metric {
    let instrument = points[0].instrument;
    let numbers = || {
        let number = |point: &Point| match &point.data {
            PointData::Number(point) => Some(point.clone()),
            PointData::Histogram(_) => None,
        };
        points.iter().filter_map(number).collect()
    };
    let temporality = |delta: bool| match delta {
        true => AggregationTemporality::Delta as i32,
        false => AggregationTemporality::Cumulative as i32,
    };
    let data = match instrument.points {
        Points::Gauge | Points::WholeGauge | Points::Milliseconds => {
            Data::Gauge(Gauge { data_points: numbers() })
        }
        Points::Counter | Points::UpDownCounter => {
            let is_monotonic = instrument.points == Points::Counter;
            let aggregation_temporality = temporality(delta && is_monotonic);
            Data::Sum(Sum { data_points: numbers(), aggregation_temporality, is_monotonic })
        }
        Points::Histogram => {
            let histogram = |point: &Point| match &point.data {
                PointData::Histogram(point) => Some(point.clone()),
                PointData::Number(_) => None,
            };
            let data_points = points.iter().filter_map(histogram).collect();
            Data::Histogram(Histogram { data_points, aggregation_temporality: temporality(delta) })
        }
    };
    Metric {
        name: instrument.name.to_owned(),
        description: instrument.description.to_owned(),
        unit: instrument.unit.to_owned(),
        data: Some(data),
    }
}

fn attributes(definition: &Definition, instrument: &Instrument, sample: &Sample) -> Vec<KeyValue> {
    let value = |label: &str| {
        let at = definition.labels.iter().position(|known| *known == label)?;
        sample.values.get(at).map(|value| value.to_string())
    };
    let of_job = value("type").as_deref() == Some("scaledjob");
    let attribute = |attribute: &Attribute| {
        Some(match *attribute {
            Attribute::Label(label) => text(label, value(label)?),
            Attribute::Renamed(label, name) => text(name, value(label)?),
            Attribute::ByType(label, object, job) => text(if of_job { job } else { object }, value(label)?),
            Attribute::Is(label, name, word) => {
                attribute_of(name, any_value::Value::BoolValue(value(label)? == word))
            }
        })
    };
    instrument.attributes.iter().filter_map(attribute).collect()
}

fn text(key: &str, value: String) -> KeyValue {
    attribute_of(key, any_value::Value::StringValue(value))
}

fn attribute_of(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

/// Counts are whole and stay far below 2^52.
#[expect(clippy::cast_possible_truncation, reason = "the number is whole")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}
