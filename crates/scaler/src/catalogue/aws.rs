//! The entries of AWS.

use super::Entry;

pub(super) const ASSUME_ROLE_DENIED: Entry = Entry {
    title: "The role may not be assumed",
    seen: "AccessDenied: is not authorized to perform: sts:AssumeRole on resource",
    cause: "STS refused `AssumeRole`. Either the role's trust policy does not name the operator's own role, or it wants another \
`sts:ExternalId` than `externalID` of the TriggerAuthentication gives, or the operator's role lacks the permission `sts:AssumeRole` on it, \
which roles of another account need. A role that does not exist is refused with the same words.",
    fix: "Put the statement that the text ends with into the role's trust policy: `aws iam get-role --role-name $ROLE --query \
Role.AssumeRolePolicyDocument` shows it, `aws iam update-assume-role-policy` changes it. In another account, also attach a policy that allows \
`sts:AssumeRole` on the role's ARN to the operator's role. A change counts after some seconds; nothing has to be restarted.",
};

pub(super) const WEB_IDENTITY_DENIED: Entry = Entry {
    title: "The ServiceAccount may not assume the role",
    seen: "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity",
    cause: "The role's trust policy does not fit the token that was presented: issuer (as OIDC provider), subject and audience are \
compared byte by byte.",
    fix: "Compare the conditions of the trust policy with issuer, subject and audience in the text, and put the statement that it ends \
with into it: `aws iam get-role --role-name $ROLE --query Role.AssumeRolePolicyDocument`. In the chart the role is \
`podIdentity.aws.irsa.roleArn`; the subject is `system:serviceaccount:keda:keda-operator`, the audience `sts.amazonaws.com`.",
};

pub(super) const WEB_IDENTITY_REFUSED: Entry = Entry {
    title: "The ServiceAccount token is not believed by AWS",
    seen: "InvalidIdentityToken, IDPCommunicationError, IncorrectTrustPolicy: No OpenIDConnect provider found in your account",
    cause: "The account of the role has no IAM OIDC provider for the cluster's issuer, or STS could not fetch the issuer's keys, or the \
provider does not list the token's audience.",
    fix: "`aws iam list-open-id-connect-providers` shows the providers; `eksctl utils associate-iam-oidc-provider --cluster $CLUSTER \
--approve` makes the one of an EKS cluster. `curl $ISSUER/.well-known/openid-configuration` must work from anywhere.",
};

pub(super) const TOKEN_FILE: Entry = Entry {
    title: "The web identity token cannot be used",
    seen: "cannot read the token in AWS_WEB_IDENTITY_TOKEN_FILE; ExpiredTokenException",
    cause: "The file that AWS_WEB_IDENTITY_TOKEN_FILE names is missing, empty, no JSON web token, or was not renewed by the kubelet. EKS's \
pod identity webhook mounts it when the pod is created, where the operator's ServiceAccount is annotated.",
    fix: "Check that the ServiceAccount has `eks.amazonaws.com/role-arn` (in the chart `podIdentity.aws.irsa.enabled` and `.roleArn`), and \
delete the operator's pod once, so that it is made again. For a stale token see the kubelet's log and the clock of the node.",
};

pub(super) const IDENTITY_MISSING: Entry = Entry {
    title: "The operator has no AWS identity",
    seen: "the operator has no AWS identity",
    cause: "Neither the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), nor a web identity token (IRSA), nor a container \
credentials endpoint (EKS Pod Identity) is set for the operator, and the node's metadata service cannot be reached.",
    fix: "Give the operator one: `podIdentity.aws.irsa` in the chart, or `aws eks create-pod-identity-association --cluster-name $CLUSTER \
--namespace keda --service-account keda-operator --role-arn $ROLE`; then make its pod again. Or give the trigger keys of its own with a \
TriggerAuthentication (`awsAccessKeyID`, `awsSecretAccessKey`).",
};

pub(super) const CONTAINER_CREDENTIALS: Entry = Entry {
    title: "EKS Pod Identity gives no credentials",
    seen: "no credentials from the container credentials endpoint",
    cause: "The endpoint in AWS_CONTAINER_CREDENTIALS_FULL_URI (the Pod Identity agent of the node, 169.254.170.23) cannot be reached or \
refuses: the agent does not run on this node, a network policy blocks it, the association was deleted, or its role does not trust \
`pods.eks.amazonaws.com`.",
    fix: "`kubectl get ds -n kube-system eks-pod-identity-agent` and its logs; `aws eks list-pod-identity-associations --cluster-name \
$CLUSTER --namespace keda`. The role's trust policy must allow `sts:AssumeRole` and `sts:TagSession` to the service `pods.eks.amazonaws.com`.",
};

pub(super) const INSTANCE_METADATA: Entry = Entry {
    title: "The node's metadata service gives no credentials",
    seen: "no credentials from the instance metadata service",
    cause: "The node has no instance profile, or the metadata service does not answer pods: its hop limit is 1, or it is switched off.",
    fix: "Prefer IRSA or EKS Pod Identity: the node's role belongs to every pod on it. Otherwise attach an instance profile, and let pods \
reach the service: `aws ec2 modify-instance-metadata-options --instance-id $NODE --http-put-response-hop-limit 2`.",
};

pub(super) const ROLE: Entry = Entry {
    title: "The role is not given, or is no role",
    seen: "role-arn annotation not found; is no ARN of a role",
    cause: "`identityOwner: workload` takes the role from the annotation `eks.amazonaws.com/role-arn` of the ServiceAccount of the scaled \
workload's pods, which is missing; or `roleArn`, `awsRoleArn` or the annotation hold something else than a role's ARN.",
    fix: "`kubectl annotate serviceaccount $NAME eks.amazonaws.com/role-arn=arn:aws:iam::111122223333:role/name`. A role's ARN is shown by \
`aws iam get-role --role-name name --query Role.Arn`.",
};

pub(super) const EXTERNAL_ID: Entry = Entry {
    title: "The external id is not this namespace's",
    seen: "externalID is not the one that --aws-external-id gives to this namespace",
    cause: "The operator runs with `--aws-external-id`: for every role that a namespace names it tells STS that namespace's external id, so \
that nobody can use the operator to assume a role that trusts it for somebody else. The TriggerAuthentication asks for another one.",
    fix: "Remove `externalID` from the TriggerAuthentication, or set it to what the text says; the role's trust policy must want the same. A \
role in a ClusterTriggerAuthentication is free.",
};

pub(super) const STS_REFUSED: Entry = Entry {
    title: "STS refuses",
    seen: "STS refuses",
    cause: "STS answered with an error that has no page of its own. Its words stand in the text.",
    fix: "Look the code up in the API reference of STS (`AssumeRole`, `AssumeRoleWithWebIdentity`): `RegionDisabledException` means that STS \
is not activated in that region for the account, `PackedPolicyTooLarge` a role's session tags.",
};

pub(super) const UNREACHABLE: Entry = Entry {
    title: "AWS cannot be reached",
    seen: "cannot reach",
    cause: "There is no connection to STS: name resolution, a network policy, a missing route or VPC endpoint, a proxy, or TLS that somebody \
takes apart.",
    fix: "From a pod like the operator's: `curl -sv https://sts.$REGION.amazonaws.com`. Private clusters need an interface VPC endpoint for \
`com.amazonaws.$REGION.sts` (and for `aps-workspaces` and `secretsmanager` where they are used). A CA of one's own goes into a folder of `--ca-dir`.",
};

pub(super) const SLOW: Entry = Entry {
    title: "AWS is slow",
    seen: "no answer within; no AWS credentials within",
    cause: "STS, the metadata service or a service did not answer within KEDA_HTTP_DEFAULT_TIMEOUT (3 s). The question goes on in the \
background, and a later poll finds its answer.",
    fix: "Nothing, if it passes. Otherwise check egress as for [aws-unreachable](aws-unreachable.md), or raise KEDA_HTTP_DEFAULT_TIMEOUT.",
};

pub(super) const THROTTLED: Entry = Entry {
    title: "AWS asks to wait",
    seen: "Throttling, ThrottlingException, TooManyRequestsException, RequestLimitExceeded, status 429",
    cause: "The account's limit on this call is reached. The operator asks STS once an hour for each role, and a service once a poll for each \
trigger, less where objects ask the same.",
    fix: "Raise `pollingInterval`, use `useCachedMetrics`, or raise the limit in Service Quotas.",
};

pub(super) const FAILING: Entry = Entry {
    title: "AWS has trouble",
    seen: "status 500, 502, 503, InternalFailure, ServiceUnavailable",
    cause: "A failure on Amazon's side, or of a proxy in between.",
    fix: "Nothing at first: credentials in hand are used until they expire, the next poll asks again, nothing is scaled in meanwhile, and \
`fallback` applies where there is one.",
};

pub(super) const CLOCK_SKEW: Entry = Entry {
    title: "The clocks of node and AWS differ",
    seen: "Signature expired, Signature not yet current, RequestExpired, RequestTimeTooSkewed",
    cause: "A signature holds for some minutes. The clock of the node that the operator runs on differs by more.",
    fix: "Compare `date -u` on the node with the times in the text, and mend time synchronisation there (on EC2: chrony with 169.254.169.123).",
};

pub(super) const KEYS_REFUSED: Entry = Entry {
    title: "The access key is not accepted",
    seen: "InvalidClientTokenId, UnrecognizedClientException, SignatureDoesNotMatch, The security token included in the request is invalid",
    cause: "The access key does not exist any more, is inactive, or its secret or session token is another one. For a role: its session was \
revoked, or its account has not enabled the region.",
    fix: "`aws iam list-access-keys` shows the keys of a user; look for blanks and line ends in the Secret (`base64 -d`). A changed Secret \
counts at once.",
};

pub(super) const FORBIDDEN: Entry = Entry {
    title: "A permission is missing",
    seen: "AccessDeniedException: is not authorized to perform",
    cause: "The identity in the text has no policy that allows the call on that resource, or a boundary, a service control policy or an \
endpoint policy denies it.",
    fix: "Attach the statement that the text ends with to the role or user; for Amazon Managed Service for Prometheus the managed policy is \
`AmazonPrometheusQueryAccess`. Words at the end of AWS's text (`because no identity-based policy allows`) say which kind of policy is in the way.",
};

pub(super) const REGION: Entry = Entry {
    title: "The AWS region is not given",
    seen: "no AWS region is given; is no AWS region",
    cause: "Requests are signed for a region. None is given by `awsRegion` of the trigger (or `region` of `awsSecretManager`), by the host's \
name, or by AWS_REGION of the operator; or it is not the name of one.",
    fix: "Set `awsRegion` in the trigger's metadata, written like `eu-west-1`.",
};

pub(super) const WORKSPACE_NOT_FOUND: Entry = Entry {
    title: "The address is no workspace of Amazon Managed Service for Prometheus",
    seen: "prometheus query api returned error. status: 404",
    cause: "`serverAddress` names no workspace of this region, or has a path too many: the trigger adds `/api/v1/query` itself.",
    fix: "`aws amp describe-workspace --workspace-id $ID --query workspace.prometheusEndpoint` prints the address, like \
`https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1234/`; leave the `/` at its end away.",
};

pub(super) const SECRET: Entry = Entry {
    title: "The secret is not as the TriggerAuthentication says",
    seen: "ResourceNotFoundException: Secrets Manager can't find the specified secret; has no key; is not JSON; is binary",
    cause: "There is no secret of this name or ARN in that region and account, or no such version; or its text is not JSON where `secretKey` \
is given, or has no text under that key.",
    fix: "`aws secretsmanager get-secret-value --secret-id $NAME --region $REGION --query SecretString` shows what is there. Names are \
case-sensitive; a secret of another account needs its full ARN.",
};
