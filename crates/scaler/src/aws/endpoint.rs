//! Which host serves what (auth.md §4.4): by service and region, else what the environment says instead.

use crate::variables::given;
use std::collections::BTreeMap;

/// Addresses of Amazon's services as the process's environment changes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL`: every service.
    all: Option<String>,
    /// `AWS_ENDPOINT_URL_<SERVICE>` by the service's host name.
    of: BTreeMap<&'static str, String>,
    /// `AWS_USE_FIPS_ENDPOINT`.
    fips: bool,
}

/// Services whose address the environment can change: the word in the variable's name, and in the host's.
const SERVICES: [(&str, &str); 7] = [
    ("STS", "sts"),
    ("SECRETS_MANAGER", "secretsmanager"),
    ("SQS", "sqs"),
    ("CLOUDWATCH", "monitoring"),
    ("DYNAMODB", "dynamodb"),
    ("DYNAMODB_STREAMS", "streams.dynamodb"),
    ("KINESIS", "kinesis"),
];

impl Endpoints {
    /// From the environment's texts, as `variable` gives them by name.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = given(variable);
        let on = |name: &str| given(name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let fips = on("AWS_USE_FIPS_ENDPOINT");
        if on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            return Self { fips, ..Self::default() };
        }
        let of = SERVICES
            .iter()
            .filter_map(|(word, host)| Some((*host, given(&format!("AWS_ENDPOINT_URL_{word}"))?)))
            .collect();
        Self { all: given("AWS_ENDPOINT_URL"), of, fips }
    }

    /// The address of a service in a region, without a final slash.
    pub fn url(&self, service: &str, region: &str) -> String {
        if let Some(url) = self.of.get(service).or(self.all.as_ref()) {
            return url.trim_end_matches('/').to_owned();
        }
        let fips = if self.fips { "-fips" } else { "" };
        let service = match service.split_once('.') {
            Some((first, rest)) => format!("{first}{fips}.{rest}"),
            None => format!("{service}{fips}"),
        };
        format!("https://{service}.{region}.{}", domain(region))
    }
}

/// The domain of the partition that a region is in.
fn domain(region: &str) -> &'static str {
    let of = [
        ("cn-", "amazonaws.com.cn"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("eusc-", "amazonaws.eu"),
    ];
    of.iter().find(|(start, _)| region.starts_with(start)).map_or("amazonaws.com", |(_, domain)| *domain)
}

/// Whether a text can be a region: it becomes a part of a host's name and of the signature.
pub(super) fn is_region(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 40
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The region in the name of one of Amazon's hosts, such as `aps-workspaces.eu-west-1.amazonaws.com`.
pub(super) fn region_of(host: &str) -> Option<&str> {
    let labels: Vec<&str> = host.split('.').collect();
    let amazon = labels.iter().position(|label| *label == "amazonaws")?;
    let region = labels[..amazon].iter().rfind(|label| **label != "vpce")?;
    (region.split('-').count() >= 3 && is_region(region)).then_some(*region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_follow_region_partition_and_environment() {
        let plain = Endpoints::default();
        for (service, region, url) in [
            ("sts", "eu-west-1", "https://sts.eu-west-1.amazonaws.com"),
            ("secretsmanager", "cn-north-1", "https://secretsmanager.cn-north-1.amazonaws.com.cn"),
            ("streams.dynamodb", "us-gov-west-1", "https://streams.dynamodb.us-gov-west-1.amazonaws.com"),
            ("sqs", "us-isob-east-1", "https://sqs.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            assert_eq!(plain.url(service, region), url);
        }
        let set = [
            ("AWS_ENDPOINT_URL", "http://localstack:4566/"),
            ("AWS_ENDPOINT_URL_STS", " https://sts.example "),
            ("AWS_USE_FIPS_ENDPOINT", "true"),
        ];
        let read = |ignore: bool| {
            Endpoints::read(|name| match name {
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" if ignore => Some("true".to_owned()),
                _ => set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
            })
        };
        assert_eq!(read(false).url("sts", "eu-west-1"), "https://sts.example");
        assert_eq!(read(false).url("sqs", "eu-west-1"), "http://localstack:4566");
        assert_eq!(read(true).url("sts", "us-east-1"), "https://sts-fips.us-east-1.amazonaws.com");
    }

    #[test]
    fn a_region_is_read_from_amazons_hosts_only() {
        for (host, region) in [
            ("aps-workspaces.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("aps-workspaces.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("vpce-0a-b.aps-workspaces.us-gov-west-1.vpce.amazonaws.com", Some("us-gov-west-1")),
            ("prometheus.monitoring.svc", None),
            ("amazonaws.com", None),
            ("sts.amazonaws.com", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }
}
