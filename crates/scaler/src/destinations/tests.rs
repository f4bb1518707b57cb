use super::*;

fn hosts(list: &str) -> Hosts {
    Hosts::parse(list).unwrap()
}

fn bound(owner: &str, listed: Option<&str>, cluster: bool, mode: Mode) -> Destinations {
    Destinations::new(Bound {
        owner: owner.to_owned(),
        listed: listed.map(hosts),
        cluster: cluster.then_some("a parameter"),
        known: hosts("*.googleapis.com"),
        mode,
    })
}

fn metadata(pairs: &[(&str, &str)]) -> Parameters {
    let metadata = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Parameters { metadata, ..Parameters::default() }
}

#[test]
fn patterns_are_names_suffixes_and_ports() {
    let list = hosts("Prom.example, *.shop.svc:9090\n10.0.0.1,[::1]:80");
    for (host, port, allowed) in [
        ("prom.example", Some(80), true),
        ("PROM.example.", None, true),
        ("evil-prom.example", Some(80), false),
        ("prom.example.evil", Some(80), false),
        ("a.shop.svc", Some(9090), true),
        ("a.shop.svc", Some(80), false),
        ("shop.svc", Some(9090), false),
        ("evilshop.svc", Some(9090), false),
        ("10.0.0.1", Some(1), true),
        ("[::1]", Some(80), true),
        ("[::1]", Some(81), false),
    ] {
        assert_eq!(list.contains(host, port), allowed, "{host} {port:?}");
    }
    assert!(hosts("*").contains("anything", None));
    assert!(!hosts("").contains("anything", None), "an empty list allows nothing");
    for entry in ["https://prom", "prom/path", "*example", "a*b", "prom:http", "us er@x"] {
        assert!(Hosts::parse(entry).unwrap_err().contains("is no host"), "{entry}");
    }
}

#[test]
fn every_cloud_host_is_a_pattern() {
    assert!(Hosts::of_clouds().contains("shop.westeurope.prometheus.monitor.azure.com", Some(443)));
    assert_eq!(Hosts::of_clouds(), Hosts::parse(CLOUDS).unwrap());
}

#[test]
fn a_list_is_honoured_in_every_mode() {
    for mode in [Mode::Ignore, Mode::Warn, Mode::Enforce] {
        let listed = bound("TriggerAuthentication shop/auth", Some("prom.example"), false, mode);
        assert!(listed.allow("https://prom.example/api").is_ok());
        assert_eq!(
            listed.allow("https://u:p@evil.example/api?key=x").unwrap_err().to_string(),
            "the credentials of TriggerAuthentication shop/auth are not sent to host evil.example [destination-refused]; its \
             annotation keda-rs.dev/allowed-hosts allows: prom.example"
        );
    }
}

#[test]
fn what_is_the_clusters_stays_with_hosts_that_the_cluster_allows() {
    let url = "http://evil.example:9090/api";
    let cluster = |listed, mode| bound("ClusterTriggerAuthentication shared", listed, true, mode);
    assert!(cluster(None, Mode::Ignore).allow(url).is_ok());
    assert!(cluster(None, Mode::Warn).allow(url).is_ok());
    assert!(cluster(None, Mode::Enforce).allow("https://monitoring.googleapis.com/v1").is_ok());
    assert!(cluster(Some("evil.example"), Mode::Enforce).allow(url).is_ok(), "an administrator listed it");
    assert_eq!(
        cluster(None, Mode::Enforce).allow(url).unwrap_err().to_string(),
        "a parameter of ClusterTriggerAuthentication shared is not sent to host evil.example, which this object chose \
         [destination-refused]; an administrator can allow it with the annotation keda-rs.dev/allowed-hosts of \
         ClusterTriggerAuthentication shared, or --credential-hosts"
    );
    // Whoever writes the namespace's object cannot allow what is the operator's.
    let own = bound("TriggerAuthentication shop/auth", Some("evil.example"), true, Mode::Enforce);
    assert!(own.allow(url).unwrap_err().to_string().contains("--credential-hosts of the operator"));
}

#[test]
fn addresses_in_metadata_are_reviewed_beforehand() {
    let given = metadata(&[
        ("query", "up"),
        ("serverAddress", "http://evil.example:9090"),
        ("zone", "redis://evil.example:6379"),
    ]);
    let cluster = |mode| bound("ClusterTriggerAuthentication shared", None, true, mode);
    let notices = cluster(Mode::Warn).review(&given).unwrap();
    assert_eq!(notices.len(), 1, "once a host: {notices:?}");
    assert!(
        notices[0].warning && notices[0].text.starts_with("serverAddress: a parameter of ClusterTrigger"),
        "{notices:?}"
    );
    assert!(cluster(Mode::Ignore).review(&given).unwrap().is_empty());
    let refused = cluster(Mode::Enforce).review(&given).unwrap_err();
    assert!(refused.to_string().starts_with("serverAddress: a parameter of"), "{refused}");
    let mut given = metadata(&[("serverAddressFromEnv", "ADDRESS")]);
    given.env.insert("ADDRESS".to_owned(), "http://evil.example".to_owned());
    assert!(cluster(Mode::Enforce).review(&given).is_err());
    assert!(Destinations::default().review(&given).unwrap().is_empty());
}
