//! `external.metrics.k8s.io/v1beta1`: what the adapter answers the HPA controller
//! (`k8s.io/metrics/pkg/apis/external_metrics/v1beta1`).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, Time};
use serde::{Deserialize, Serialize};

use crate::Quantity;

/// The API group.
pub const GROUP: &str = "external.metrics.k8s.io";
/// Group and version, as `apiVersion` says.
pub const API_VERSION: &str = "external.metrics.k8s.io/v1beta1";

/// The values of one metric, one a set of labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalMetricValueList {
    /// [`API_VERSION`].
    pub api_version: String,
    /// `ExternalMetricValueList`.
    pub kind: String,
    /// Metadata of a list, of which nothing is used.
    #[serde(default)]
    pub metadata: ListMeta,
    /// The values.
    pub items: Vec<ExternalMetricValue>,
}

impl ExternalMetricValueList {
    /// A list of these values.
    pub fn new(items: Vec<ExternalMetricValue>) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "ExternalMetricValueList".to_owned(),
            metadata: ListMeta::default(),
            items,
        }
    }
}

/// One value of an external metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalMetricValue {
    /// Name of the metric.
    pub metric_name: String,
    /// Labels of the series; `null` if it has none, as Go writes it.
    pub metric_labels: Option<BTreeMap<String, String>>,
    /// When the value was measured, to the second.
    pub timestamp: Time,
    /// Seconds over which a rate was taken.
    #[serde(rename = "window", skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<i64>,
    /// The value.
    pub value: Quantity,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go writes it: no empty members left out but `window`, times to the second.
    #[test]
    fn json_is_that_of_the_api() {
        let value = ExternalMetricValue {
            metric_name: "s0-prometheus".into(),
            metric_labels: None,
            timestamp: Time("2026-11-24T12:00:00.5Z".parse().unwrap()),
            window_seconds: None,
            value: Quantity::from_milli(1500),
        };
        let list = ExternalMetricValueList::new(vec![value]);
        let json = serde_json::json!({
            "apiVersion": "external.metrics.k8s.io/v1beta1",
            "kind": "ExternalMetricValueList",
            "metadata": {},
            "items": [{
                "metricName": "s0-prometheus",
                "metricLabels": null,
                "timestamp": "2026-11-24T12:00:00Z",
                "value": "1500m",
            }],
        });
        assert_eq!(serde_json::to_value(&list).unwrap(), json);
        let read: ExternalMetricValueList = serde_json::from_value(json).unwrap();
        assert_eq!(read.items[0].value, list.items[0].value);
    }
}
