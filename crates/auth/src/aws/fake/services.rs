//! What stands around STS: the node, Secrets Manager, a workspace.

use super::*;

impl Inner {
    /// The metadata service's second version: nothing without a token that was asked for with PUT. A node without an instance profile has no
    /// service at all here, as a pod that is not on EC2.
    pub(super) fn metadata(&mut self, request: &Request) -> Result<Response, http::Error> {
        let Some(role) = self.instance_profile.clone() else {
            let text = format!("{}: cannot connect: no route to host", request.describe());
            return Err(http::Error::new(ErrorKind::Connect, text));
        };
        let name = role.rsplit('/').next().unwrap_or_default().to_owned();
        let path = request.url.trim_start_matches("http://169.254.169.254");
        if request.method == Method::PUT {
            let asks = request.headers.contains_key("x-aws-ec2-metadata-token-ttl-seconds");
            let known = asks && path == "/latest/api/token";
            let status = if known { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            return Ok(Response::new(status, "s3cret-metadata-token"));
        }
        let token = request.headers.get("x-aws-ec2-metadata-token");
        if token.is_none_or(|token| token.as_bytes() != b"s3cret-metadata-token") {
            return Ok(Response::new(StatusCode::UNAUTHORIZED, ""));
        }
        Ok(match path.strip_prefix("/latest/meta-data/iam/security-credentials/") {
            Some("") => Response::new(StatusCode::OK, name),
            Some(asked) if asked == name => self.written(&role),
            _ => Response::new(StatusCode::NOT_FOUND, ""),
        })
    }

    pub(super) fn agent(&mut self, request: &Request) -> Response {
        let token = request.headers.get(header::AUTHORIZATION);
        if token.is_none_or(|token| token.as_bytes() != AGENT_TOKEN.as_bytes()) {
            return Response::new(StatusCode::BAD_REQUEST, "Service account token cannot be empty");
        }
        match (self.agent.clone(), request.url == AGENT) {
            (Some(role), true) => self.written(&role),
            _ => {
                let words =
                    format!("(403) AccessDeniedException: no association for the pod, token {AGENT_TOKEN}");
                Response::new(StatusCode::FORBIDDEN, words)
            }
        }
    }

    /// Credentials as both write them.
    fn written(&mut self, role: &str) -> Response {
        let (credentials, ends) = self.issue(role);
        let body = json!({
            "Code": "Success", "Type": "AWS-HMAC",
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key.expose(),
            "Token": credentials.session_token.as_ref().map(keda_scaler::Secret::expose),
            "Expiration": ends,
        });
        Response::new(StatusCode::OK, body.to_string())
    }

    pub(super) fn secrets_manager(&mut self, request: &Request) -> Response {
        let caller = match self.caller(request, "secretsmanager") {
            Ok(caller) => caller,
            Err(response) => return *response,
        };
        let target = request.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let name = asked["SecretId"].as_str().unwrap_or_default();
        if target != Some("secretsmanager.GetSecretValue") {
            return self.refuse(request, 400, "InvalidAction", "unknown operation");
        }
        if !self.permissions.contains(&(caller.clone(), "secretsmanager:GetSecretValue".to_owned())) {
            let words = format!(
                "User: {caller} is not authorized to perform: secretsmanager:GetSecretValue on resource: {name} because no \
                 identity-based policy allows the secretsmanager:GetSecretValue action"
            );
            return self.refuse(request, 400, "AccessDeniedException", &words);
        }
        let version = asked["VersionId"].as_str().or(asked["VersionStage"].as_str()).unwrap_or("AWSCURRENT");
        match self.secrets.get(name).map(|versions| versions[version].clone()) {
            Some(answer) if !answer.is_null() => Response::new(StatusCode::OK, answer.to_string()),
            _ => {
                let words = "Secrets Manager can't find the specified secret.";
                self.refuse(request, 400, "ResourceNotFoundException", words)
            }
        }
    }

    pub(super) fn workspace(&mut self, request: &Request) -> Response {
        let caller = match self.caller(request, "aps") {
            Ok(caller) => caller,
            Err(response) => return *response,
        };
        if !self.permissions.contains(&(caller.clone(), "aps:QueryMetrics".to_owned())) {
            let words = format!(
                "User: {caller} is not authorized to perform: aps:QueryMetrics on resource: \
                 arn:aws:aps:{REGION}:{ACCOUNT}:workspace/ws-1234"
            );
            let body = json!({ "message": words });
            return Response::new(StatusCode::FORBIDDEN, body.to_string());
        }
        if !request.url.starts_with(&format!("{WORKSPACE}/api/v1/query?")) {
            return Response::new(StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#);
        }
        let value = self.value.to_string();
        let result = json!([{ "metric": {}, "value": [1, value] }]);
        let body = json!({ "status": "success", "data": { "resultType": "vector", "result": result } });
        Response::new(StatusCode::OK, body.to_string())
    }
}
