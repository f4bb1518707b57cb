//! Every rule, with upstream's texts.

#![expect(clippy::needless_pass_by_value, reason = "cases are written in place")]

use keda_api::{ScaledObject, TriggerAuthenticationSpec, cloud_event_source::EventSubscription};
use serde_json::{Value, json};

use super::{
    authentication, cloud_events,
    neighbours::{self, Autoscaler, Claim},
    requests::{self, Amounts, Containers},
    scaled_job, scaled_object, told,
};

/// A ScaledObject `shop/web` with a valid spec, changed by a JSON merge.
fn object(change: Value) -> ScaledObject {
    let mut object = json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"name": "app"},
            "triggers": [{"type": "prometheus", "metadata": {}}],
        },
    });
    merge(&mut object, &change);
    serde_json::from_value(object).unwrap()
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

fn spec(spec: Value) -> ScaledObject {
    object(json!({ "spec": spec }))
}

#[test]
fn a_scaled_object_by_itself() {
    let long = "x".repeat(64);
    let fitting = "x".repeat(55);
    let cpu = json!({"type": "cpu", "metadata": {"value": "50"}});
    let modifiers = |it: Value| json!({"advanced": {"scalingModifiers": it}});
    let cases: Vec<(ScaledObject, &str, &str)> = vec![
        (spec(json!({})), "", ""),
        (
            spec(json!({"minReplicaCount": 5, "maxReplicaCount": 4})),
            "incorrect-replicas",
            "MinReplicaCount=5 must be less than MaxReplicaCount=4",
        ),
        (
            spec(json!({"minReplicaCount": 2, "idleReplicaCount": 2})),
            "incorrect-replicas",
            "IdleReplicaCount=2 must be less than MinReplicaCount=2",
        ),
        (
            spec(json!({"idleReplicaCount": 0})),
            "incorrect-replicas",
            "IdleReplicaCount=0 must be less than MinReplicaCount=0",
        ),
        (spec(json!({"minReplicaCount": 0, "idleReplicaCount": 0})), "", ""),
        (
            spec(json!({"fallback": {"failureThreshold": -1, "replicas": 2}})),
            "incorrect-fallback",
            "FailureThreshold=-1 & Replicas=2 must both be greater than or equal to 0",
        ),
        (
            spec(json!({"fallback": {"failureThreshold": 3, "replicas": 2}, "triggers": [cpu]})),
            "incorrect-fallback",
            "at least one trigger (that is not cpu or memory) has to have the `AverageValue` type for the fallback to be enabled",
        ),
        (
            object(json!({"metadata": {"name": long}})),
            "name-too-long",
            "scaledobject name \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" is 64 characters long; must be no more than 63 characters because it is used as the \"scaledobject.keda.sh/name\" label value",
        ),
        (
            object(json!({"metadata": {"name": fitting}})),
            "hpa-name-too-long",
            "HPA name \"keda-hpa-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" derived from scaledobject is 64 characters long; must be no more than 63 characters; set spec.advanced.horizontalPodAutoscalerConfig.name to a shorter name or shorten the scaledobject name",
        ),
        (
            object(json!({
                "metadata": {"name": fitting},
                "spec": {"advanced": {"horizontalPodAutoscalerConfig": {"name": "short"}}},
            })),
            "",
            "",
        ),
        (
            spec(modifiers(json!({"target": "5"}))),
            "scaling-modifiers",
            "error ScalingModifiers.Formula is mandatory",
        ),
        (
            spec(modifiers(json!({"formula": "a"}))),
            "scaling-modifiers",
            "error validating formula in ScalingModifiers\nformula is given but target is empty",
        ),
        (
            spec(modifiers(json!({"formula": "1", "target": "many"}))),
            "scaling-modifiers",
            "error validating target in ScalingModifiers\nerror converting target for scalingModifiers (string->float) to valid target: strconv.ParseFloat: parsing \"many\": invalid syntax",
        ),
        (
            spec(modifiers(json!({"formula": "1", "target": "0"}))),
            "scaling-modifiers",
            "error validating target in ScalingModifiers\nerror converting target for scalingModifiers (string->float) to valid target: \"0\" is not above 0",
        ),
        (spec(modifiers(json!({}))), "", ""),
        (
            spec(json!({"fallback": {"failureThreshold": 1, "replicas": 1, "behavior": "scalingModifiers"}})),
            "scaling-modifiers-fallback",
            "scalingModifiers fallback behavior requires scalingModifiers.formula to be defined",
        ),
        (
            spec(json!({"triggers": []})),
            "incorrect-triggers",
            "no triggers defined in the ScaledObject/ScaledJob",
        ),
        (
            spec(json!({"triggers": [
                {"type": "cron", "name": "a", "metadata": {}}, {"type": "cron", "name": "a", "metadata": {}}]})),
            "incorrect-triggers",
            "triggerName \"a\" is defined multiple times in the ScaledObject/ScaledJob, but it must be unique",
        ),
        (
            spec(json!({"triggers": [{"type": "cron", "useCachedMetrics": true, "metadata": {}}]})),
            "incorrect-triggers",
            "property \"useCachedMetrics\" is not supported for \"cron\" scaler",
        ),
    ];
    for (object, reason, text) in cases {
        let violations = scaled_object::check(&object);
        let reasons: Vec<_> = violations.iter().map(|violation| violation.reason).collect();
        assert_eq!(
            (reasons.join(" ").as_str(), told(&violations).as_str()),
            (reason, text),
            "{:?}",
            object.spec
        );
    }
}

#[test]
fn every_fault_is_told_in_a_fixed_order() {
    let object = spec(json!({
        "minReplicaCount": 5, "maxReplicaCount": 4, "fallback": {"failureThreshold": -1, "replicas": 1}, "triggers": []}));
    assert_eq!(
        told(&scaled_object::check(&object)),
        "MinReplicaCount=5 must be less than MaxReplicaCount=4; FailureThreshold=-1 & Replicas=1 must both be greater than \
         or equal to 0; no triggers defined in the ScaledObject/ScaledJob"
    );
}

#[test]
fn settings_without_effect_are_warned_of() {
    let polling = "PollingInterval is configured but is not relevant. PollingInterval is only relevant when minReplicaCount = 0, idleReplicaCount is set, or useCachedMetrics is enabled";
    let cooldown = "CooldownPeriod is configured but is not relevant. CooldownPeriod is only relevant when minReplicaCount = 0 or idleReplicaCount is set";
    let cached = json!([{"type": "prometheus", "useCachedMetrics": true, "metadata": {}}]);
    let cases = [
        (json!({"pollingInterval": 5, "cooldownPeriod": 5}), vec![]),
        (json!({"pollingInterval": 5, "cooldownPeriod": 5, "minReplicaCount": 1}), vec![polling, cooldown]),
        (json!({"pollingInterval": 5, "minReplicaCount": 1, "triggers": cached}), vec![]),
        (
            json!({"pollingInterval": 5, "cooldownPeriod": 5, "minReplicaCount": 2, "idleReplicaCount": 1}),
            vec![],
        ),
    ];
    for (change, expected) in cases {
        let warnings = scaled_object::warnings(&spec(change.clone()).spec);
        let texts: Vec<_> = warnings.iter().map(|warning| warning.text.as_str()).collect();
        assert_eq!(texts, expected, "{change}");
    }
}

#[test]
fn one_workload_has_one_scaled_object() {
    let own = Claim::of(&object(json!({})));
    let other = |change: Value| Claim::of(&object(change));
    let named = |name: &str, target: Value| other(json!({"metadata": {"name": name}, "spec": target}));
    let taken =
        "the workload 'app' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'first'";
    let cases = [
        (named("web", json!({})), ""),
        (named("first", json!({})), taken),
        (named("first", json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment"}})), taken),
        (named("first", json!({"scaleTargetRef": {"kind": "StatefulSet"}})), ""),
        (named("first", json!({"scaleTargetRef": {"name": "another"}})), ""),
        (
            named(
                "first",
                json!({
                    "scaleTargetRef": {"name": "another"},
                    "advanced": {"horizontalPodAutoscalerConfig": {"name": "keda-hpa-web"}}}),
            ),
            "the HPA 'keda-hpa-web' is already managed by the ScaledObject 'first'",
        ),
    ];
    for (other, text) in cases {
        assert_eq!(told(&neighbours::other_objects(&own, [&other])), text, "{other:?}");
    }
}

#[test]
fn one_workload_has_no_other_autoscaler() {
    let autoscaler = |metadata: Value| {
        let autoscaler = json!({
            "metadata": {"name": "old", "namespace": "shop"},
            "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}},
        });
        let mut autoscaler = autoscaler;
        merge(&mut autoscaler, &metadata);
        Autoscaler::of(&serde_json::from_value(autoscaler).unwrap())
    };
    let owner = |kind: &str, name: &str| {
        json!({"metadata": {"ownerReferences": [
            {"apiVersion": "keda.sh/v1alpha1", "kind": kind, "name": name, "uid": "1"}]}})
    };
    let transfer =
        json!({"metadata": {"annotations": {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}}});
    let mut named = transfer.clone();
    merge(&mut named, &json!({"spec": {"advanced": {"horizontalPodAutoscalerConfig": {"name": "old"}}}}));
    let managed = "the workload 'app' of type 'apps/v1.Deployment' is already managed by the hpa 'old'";
    let plain = || object(json!({}));
    let cases = [
        (plain(), autoscaler(json!({})), managed),
        (plain(), autoscaler(json!({"spec": {"scaleTargetRef": {"name": "another"}}})), ""),
        (plain(), autoscaler(json!({"spec": {"scaleTargetRef": {"kind": "StatefulSet"}}})), ""),
        (plain(), autoscaler(owner("ScaledObject", "web")), ""),
        (plain(), autoscaler(owner("ScaledObject", "another")), managed),
        (plain(), autoscaler(owner("Deployment", "web")), managed),
        (
            plain(),
            autoscaler(json!({"metadata": {"annotations": {"validations.keda.sh/hpa-ownership": "false"}}})),
            "",
        ),
        (
            plain(),
            autoscaler(json!({"metadata": {"annotations": {"validations.keda.sh/hpa-ownership": "true"}}})),
            managed,
        ),
        (
            object(json!({"metadata": {"annotations": {"validations.keda.sh/hpa-ownership": "false"}}})),
            autoscaler(json!({})),
            "",
        ),
        (
            object(transfer),
            autoscaler(json!({})),
            "the existing hpa 'old' for workload 'app' of type 'apps/v1.Deployment' must be specified by name in advanced settings to enable ownership transfer",
        ),
        (object(named), autoscaler(json!({})), ""),
    ];
    for (object, autoscaler, text) in cases {
        let violations = neighbours::other_autoscalers(&object, &Claim::of(&object), [&autoscaler]);
        assert_eq!(told(&violations), text, "{autoscaler:?}");
    }
}

#[test]
fn cpu_and_memory_need_requests() {
    let containers = |resources: Value| {
        let template = json!({"spec": {"containers": [
            {"name": "main", "resources": resources}, {"name": "side", "resources": {"limits": {"cpu": "1"}}}]}});
        Containers::of(&serde_json::from_value(template).unwrap())
    };
    let cpu = json!({"type": "cpu", "metadata": {"value": "50"}});
    let memory = json!({"type": "memory", "metadata": {"value": "50", "containerName": "main"}});
    let cron = json!({"type": "cron", "metadata": {}});
    let none = Amounts::default();
    let lacks =
        "the scaledobject has a cpu trigger but the container main doesn't have the cpu request defined";
    let zero = "scaledobject has only cpu/memory triggers AND minReplica is 0 (scale to zero doesn't work in this case)";
    let least = json!({"minReplicaCount": 1, "triggers": [cpu]});
    let cases = [
        (least.clone(), containers(json!({})), none, lacks),
        (least.clone(), containers(json!({"requests": {"cpu": "0"}})), none, lacks),
        (least.clone(), containers(json!({"requests": {"cpu": "100m"}})), none, ""),
        (least.clone(), containers(json!({"limits": {"cpu": 1}})), none, ""),
        (least.clone(), containers(json!({})), Amounts { cpu: true, memory: false }, ""),
        (least, containers(json!({})), Amounts { cpu: false, memory: true }, lacks),
        (
            json!({"minReplicaCount": 1, "triggers": [memory]}),
            containers(json!({"requests": {"memory": "1Mi"}})),
            none,
            "",
        ),
        (json!({"triggers": [cpu]}), containers(json!({"requests": {"cpu": "1"}})), none, zero),
        (
            json!({"minReplicaCount": 0, "triggers": [cpu]}),
            containers(json!({"requests": {"cpu": "1"}})),
            none,
            zero,
        ),
        (json!({"triggers": [cpu, cron]}), containers(json!({"requests": {"cpu": "1"}})), none, ""),
    ];
    for (change, containers, defaults, text) in cases {
        let object = spec(change.clone());
        assert_eq!(told(&requests::check(&object, &containers, defaults)), text, "{change}");
    }
    let matters = |change: Value| requests::matter(&spec(change));
    assert!(matters(json!({"triggers": [cpu]})));
    assert!(!matters(json!({"triggers": [cron]})));
    assert!(!matters(
        json!({"triggers": [cpu], "scaleTargetRef": {"apiVersion": "example.com/v1", "kind": "Widget"}})
    ));
}

#[test]
fn limit_ranges_give_amounts_to_containers() {
    let amounts = |limit: Value| {
        let range = json!({"spec": {"limits": [limit]}});
        Amounts::of_limit_range(&serde_json::from_value(range).unwrap())
    };
    let cpu = Amounts { cpu: true, memory: false };
    assert_eq!(amounts(json!({"type": "Container", "default": {"cpu": "1"}})), cpu);
    assert_eq!(amounts(json!({"type": "Container", "defaultRequest": {"cpu": "1"}})), cpu);
    assert_eq!(amounts(json!({"type": "Container", "defaultRequest": {"cpu": "0"}})), Amounts::default());
    assert_eq!(amounts(json!({"type": "Pod", "max": {"cpu": "1"}})), Amounts::default());
    assert_eq!(cpu.or(Amounts { cpu: false, memory: true }), Amounts { cpu: true, memory: true });
}

#[test]
fn authentications() {
    let azure = |change: Value| {
        let mut identity = json!({"provider": "azure-workload"});
        merge(&mut identity, &change);
        json!({ "podIdentity": identity })
    };
    let aws = |change: Value| {
        let mut identity = json!({"provider": "aws"});
        merge(&mut identity, &change);
        json!({ "podIdentity": identity })
    };
    let oauth2 = |change: Value| {
        let mut oauth2 = json!({"type": "clientCredentials", "clientId": "me", "tokenUrl": "https://login.example.com/token"});
        merge(&mut oauth2, &change);
        json!({ "oauth2": oauth2 })
    };
    let no_url = "oauth2.tokenUrl must be a valid http or https URL";
    let cases = [
        (json!({}), ""),
        (azure(json!({})), ""),
        (azure(json!({"identityId": "1"})), ""),
        (
            azure(json!({"identityId": ""})),
            "identityId of PodIdentity should not be empty. If it's set, identityId has to be different than \"\"",
        ),
        (
            azure(json!({"identityAuthorityHost": "https://login"})),
            "identityTenantID of PodIdentity should not be nil or empty when identityAuthorityHost of PodIdentity is set",
        ),
        (azure(json!({"identityAuthorityHost": "https://login", "identityTenantId": "t"})), ""),
        (
            azure(json!({"identityTenantId": ""})),
            "identityTenantId of PodIdentity should not be empty. If it's set, identityTenantId has to be different than \"\"",
        ),
        (aws(json!({"roleArn": "arn"})), ""),
        (
            aws(json!({"roleArn": "arn", "identityOwner": "workload"})),
            "roleArn of PodIdentity can't be set if KEDA isn't identityOwner",
        ),
        (aws(json!({"externalID": "1"})), "externalID of PodIdentity requires roleArn to be set"),
        (oauth2(json!({})), ""),
        (oauth2(json!({"tokenUrl": "HTTP://login"})), ""),
        (oauth2(json!({"type": "password"})), "oauth2.type must be 'clientCredentials', got 'password'"),
        (oauth2(json!({"clientId": ""})), "oauth2.clientId is required when oauth2 is configured"),
        (oauth2(json!({"tokenUrl": ""})), "oauth2.tokenUrl is required when oauth2 is configured"),
        (oauth2(json!({"tokenUrl": "login.example.com"})), no_url),
        (oauth2(json!({"tokenUrl": "ftp://login.example.com"})), no_url),
        (oauth2(json!({"tokenUrl": "https:///token"})), no_url),
    ];
    for (given, text) in cases {
        let spec: TriggerAuthenticationSpec = serde_json::from_value(given.clone()).unwrap();
        assert_eq!(told(&authentication::check(&spec)), text, "{given}");
        assert!(authentication::warnings(&spec).is_empty(), "{given}");
    }
    let mut unseen = oauth2(json!({"clientId": ""}));
    merge(&mut unseen, &json!({"podIdentity": {"provider": "gcp"}}));
    let spec: TriggerAuthenticationSpec = serde_json::from_value(unseen).unwrap();
    assert!(authentication::check(&spec).is_empty());
    assert_eq!(
        authentication::warnings(&spec)[0].text,
        "oauth2.clientId is required when oauth2 is configured"
    );
}

#[test]
fn event_subscriptions() {
    let cases = [
        (json!({}), ""),
        (
            json!({"includedEventTypes": ["keda.scaledobject.ready.v1", "keda.scaledjob.rolloutcleanup.failed.v1"]}),
            "",
        ),
        (
            json!({"includedEventTypes": [], "excludedEventTypes": []}),
            "setting included types and excluded types at the same time is not supported",
        ),
        (json!({"includedEventTypes": ["keda.authentication.triggerauthentication.created.v1"]}), ""),
        (
            json!({"includedEventTypes": ["keda.authentication.created.v1"]}),
            "includedEventType: keda.authentication.created.v1 in cloudeventsource/clustercloudeventsource spec is not supported",
        ),
        (
            json!({"excludedEventTypes": ["keda.scaledobject.ready"]}),
            "excludedEventType: keda.scaledobject.ready in cloudeventsource/clustercloudeventsource spec is not supported",
        ),
    ];
    for (given, text) in cases {
        let subscription: EventSubscription = serde_json::from_value(given.clone()).unwrap();
        assert_eq!(told(&cloud_events::check(Some(&subscription))), text, "{given}");
    }
    assert!(cloud_events::check(None).is_empty());
}

#[test]
fn a_token_that_can_be_read_in_the_object_is_warned_of_6026() {
    let warned = |credential: Value, authentication: &str| {
        let vault = json!({ "address": "https://vault", "authentication": authentication, "credential": credential,
            "secrets": [{ "parameter": "p", "path": "a", "key": "b" }] });
        let spec: TriggerAuthenticationSpec =
            serde_json::from_value(json!({ "hashiCorpVault": vault })).unwrap();
        assert!(authentication::check(&spec).is_empty(), "it is not refused");
        authentication::warnings(&spec)
    };
    let warnings = warned(json!({ "token": "s.a-token-of-vault" }), "token");
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].path, "spec.hashiCorpVault.credential.token");
    assert!(warnings[0].text.contains("use authentication kubernetes"), "{}", warnings[0].text);
    assert!(!warnings[0].text.contains("a-token-of-vault"));
    for credential in [json!({}), json!({ "token": " " }), json!({ "serviceAccountName": "reader" })] {
        assert!(warned(credential, "kubernetes").is_empty());
    }
}

#[test]
fn a_scaled_job_that_could_make_no_job() {
    let job = |spec: serde_json::Value| -> keda_api::ScaledJob {
        let mut object = json!({ "metadata": { "name": "work" }, "spec": {
            "jobTargetRef": { "template": { "spec": { "containers": [{ "name": "w", "image": "w" }] } } },
            "triggers": [{ "type": "cron", "metadata": {} }],
        } });
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(object).unwrap()
    };
    let told = |object: &keda_api::ScaledJob| -> Vec<(String, String)> {
        scaled_job::job(object).into_iter().map(|violation| (violation.path, violation.text)).collect()
    };
    assert_eq!(told(&job(json!({}))), []);
    let mut long = job(json!({}));
    long.metadata.name = Some("x".repeat(64));
    assert_eq!(told(&long)[0].0, "metadata.name");
    let template = |spec: serde_json::Value| job(json!({ "jobTargetRef": { "template": { "spec": spec } } }));
    let (path, text) = told(&template(json!({ "containers": "none" }))).remove(0);
    assert_eq!(path, "spec.jobTargetRef.template");
    assert!(text.starts_with("spec.jobTargetRef.template: invalid type"), "{text}");
    assert!(told(&template(json!({ "containers": [] })))[0].1.contains("at least one container"));
    let typed = job(json!({ "triggers": [{ "type": "cron", "metadata": {}, "metricType": "Value" }] }));
    let violations = scaled_job::triggers(&typed.spec);
    assert_eq!(violations[0].path, "spec.triggers[0].metricType");
    assert_eq!(violations[0].text, "Cannot set metricType in ScaledJob triggers");
    let odd = job(json!({
        "minReplicaCount": 3, "maxReplicaCount": 2, "scalingStrategy": { "strategy": "custom" },
        "triggers": [{ "type": "cron", "metadata": {}, "useCachedMetrics": true }],
    }));
    let paths: Vec<String> =
        scaled_job::warnings(&odd.spec).into_iter().map(|warning| warning.path).collect();
    assert_eq!(
        paths,
        [
            "spec.scalingStrategy.customScalingRunningJobPercentage",
            "spec.minReplicaCount",
            "spec.triggers[0].useCachedMetrics"
        ]
    );
}

#[test]
fn event_sources_that_send_nothing_or_not_as_they_look() {
    let topic = json!({"azureEventGridTopic": {"endpoint": "https://topic.eventgrid.azure.net/api/events"}});
    let both = json!({"http": {"uri": "http://sink"}, "azureEventGridTopic": {"endpoint": "https://topic"}});
    for (clustered, given, texts) in [
        (false, json!({"destination": {"http": {"uri": "https://sink/in"}}}), vec![]),
        (
            false,
            json!({"destination": {}}),
            vec!["no event is sent: destination must have http or azureEventGridTopic"],
        ),
        (
            false,
            json!({"destination": {"http": {"uri": "sink"}}}),
            vec!["no event is sent: destination.http.uri must be an http or https address"],
        ),
        (
            false,
            json!({"destination": both, "authenticationRef": {"name": "a"}}),
            vec![
                "azureEventGridTopic has no effect beside http: events go to one destination",
                "authenticationRef has no effect on an http destination: events are sent without credentials",
            ],
        ),
        (
            false,
            json!({"destination": topic}),
            vec![
                "no event is sent: an azureEventGridTopic needs an authenticationRef with the parameter accessKey or podIdentity azure-workload",
            ],
        ),
        (false, json!({"destination": topic, "authenticationRef": {"name": "a"}}), vec![]),
        (
            true,
            json!({"destination": topic, "authenticationRef": {"name": "a"}}),
            vec![
                "no event is sent: authenticationRef of a ClusterCloudEventSource must be of kind ClusterTriggerAuthentication: it has no namespace to look in",
            ],
        ),
        (
            true,
            json!({"destination": topic, "authenticationRef": {"name": "a", "kind": "ClusterTriggerAuthentication"}}),
            vec![],
        ),
    ] {
        let spec = serde_json::from_value(given.clone()).unwrap();
        let told: Vec<String> =
            cloud_events::warnings(&spec, clustered).into_iter().map(|it| it.text).collect();
        assert_eq!(told, texts, "{given}");
    }
}
