//! POST, PUT, PATCH and DELETE.

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{Asked, form::Form, json as respond, parse_body, read, read::Selection, route::Target};
use crate::{
    api::{self, DeleteOptions, FieldValidation, Part, WriteOptions, Written},
    patch::PatchKind,
    record::Verb,
    refusal::Refusal,
    resource::Resource,
    server::{Body, Inner},
    store::Key,
    sync::lock,
};

pub(super) fn write(
    server: &Arc<Inner>,
    asked: &Asked,
    resource: &Resource,
    target: &Target,
    verb: Verb,
) -> Result<Response<Body>, Refusal> {
    let form = Form::negotiate(&asked.headers, &asked.query)?;
    let body = parse_body(asked)?;
    if resource.ephemeral {
        let review = api::answer_review(resource, &lock(&server.access), &asked.identity, body)?;
        return Ok(respond(StatusCode::CREATED, &review));
    }
    if target.is_token_request() && verb == Verb::Create {
        let key = Key::new(&target.namespace, &target.name);
        lock(&server.state).get(resource, &key, Part::Main)?;
        let now = lock(&server.clock).now();
        let issued = api::issue_token(&target.namespace, &target.name, &body, now)?;
        lock(&server.access).add_token(&issued.token, issued.identity);
        return Ok(respond(StatusCode::CREATED, &issued.answer));
    }
    let options = options(server, asked, read::part_of(resource, target)?);
    let key = Key::new(&target.namespace, &target.name);
    let written = match verb {
        Verb::Create => lock(&server.state).create(resource, &target.namespace, body, &options)?,
        Verb::Update => lock(&server.state).update(resource, &key, body, &options)?,
        _ => {
            let content_type = asked.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let kind = PatchKind::of_content_type(content_type.unwrap_or_default())
                .ok_or_else(|| Refusal::unsupported_media_type(accepted_patches(resource)))?;
            lock(&server.state).patch(resource, &key, kind, body, &options)?
        }
    };
    Ok(written_response(form, resource, options.part, written))
}

fn accepted_patches(resource: &Resource) -> &'static str {
    if resource.is_custom() {
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    } else {
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml"
    }
}

fn written_response(form: Form, resource: &Resource, part: Part, written: Written) -> Response<Body> {
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    let shown = if part == Part::Scale { written.object } else { form.one(resource, written.object) };
    let mut response = respond(status, &shown);
    for warning in &written.warnings {
        if let Ok(value) = HeaderValue::try_from(format!("299 - {warning:?}")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

fn options(server: &Inner, asked: &Asked, part: Part) -> WriteOptions {
    let query = &asked.query;
    WriteOptions {
        part,
        dry_run: query.get("dryRun").is_some(),
        field_manager: query.get("fieldManager").unwrap_or_default().to_owned(),
        field_validation: match query.get("fieldValidation") {
            Some("Strict") => FieldValidation::Strict,
            Some("Ignore") => FieldValidation::Ignore,
            _ => FieldValidation::Warn,
        },
        now: lock(&server.clock).now(),
    }
}

pub(super) fn delete(
    server: &Arc<Inner>,
    asked: &Asked,
    resource: &Resource,
    target: &Target,
) -> Result<Response<Body>, Refusal> {
    if !target.subresource.is_empty() || resource.ephemeral {
        return Err(Refusal::method_not_allowed());
    }
    let mut body = parse_body(asked)?;
    for name in ["propagationPolicy", "dryRun"] {
        if let Some(value) = asked.query.get(name) {
            body[name] = if name == "dryRun" { json!([value]) } else { json!(value) };
        }
    }
    let options = DeleteOptions::parse(&body);
    let now = lock(&server.clock).now();
    if !target.name.is_empty() {
        let key = Key::new(&target.namespace, &target.name);
        let shown = lock(&server.state).delete(resource, &key, &options, now)?;
        return Ok(respond(StatusCode::OK, &shown));
    }
    let selection = Selection::of(asked, resource)?;
    let mut state = lock(&server.state);
    let chosen: Vec<(Key, Value)> = state
        .store
        .list(&resource.stored_in, &target.namespace)
        .map(|(key, object)| (key.clone(), resource.present(object)))
        .filter(|(_, object)| selection.sees(object))
        .collect();
    let mut items = Vec::new();
    for (key, object) in chosen {
        match state.delete(resource, &key, &options, now) {
            Ok(_) => items.push(object),
            // An earlier deletion of this collection took it along.
            Err(refusal) if refusal.code == 404 => {}
            Err(refusal) => return Err(refusal),
        }
    }
    let metadata = json!({"resourceVersion": state.store.revision().to_string()});
    drop(state);
    Ok(respond(StatusCode::OK, &Form::Object.many(resource, items, &metadata)))
}
