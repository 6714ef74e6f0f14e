//! Dispatches requests about objects to the operations of the store.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::asked::{Asked, Form, Reply};
use super::read;
use super::request::{Query, Target};
use super::shared::Shared;
use super::status::{ApiError, ApiResult, FieldError};
use super::write::{self, Validation, Writer};
use super::{delete, patch, watch};

/// Subresources that a real server has and the stand-in has not.
const NOT_SERVED: [(&str, &str); 14] = [
    ("Deployment", "scale"),
    ("Namespace", "finalize"),
    ("Node", "proxy"),
    ("Pod", "attach"),
    ("Pod", "binding"),
    ("Pod", "ephemeralcontainers"),
    ("Pod", "eviction"),
    ("Pod", "exec"),
    ("Pod", "portforward"),
    ("Pod", "proxy"),
    ("Pod", "resize"),
    ("ReplicaSet", "scale"),
    ("Service", "proxy"),
    ("ServiceAccount", "token"),
];

/// The verb of a request, as authorization names it.
pub(crate) fn verb(target: &Target, method: &Method, query: &Query) -> &'static str {
    let collection = target.name.is_empty();
    match *method {
        Method::GET if query.flag("watch") && target.subresource.is_empty() => "watch",
        Method::GET if collection => "list",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if collection => "deletecollection",
        Method::DELETE => "delete",
        _ => "unknown",
    }
}

/// Answers a request about objects.
pub(crate) fn answer(target: &Target, asked: &Asked) -> ApiResult<Reply> {
    let shared = &asked.shared;
    let only_metadata = asked.form()? == Form::OnlyMetadata;
    match target.subresource.as_str() {
        "" => {}
        "status" if target.resource.status => {}
        "log" if target.resource.kind == "Pod" => return log(shared, target, asked),
        other if NOT_SERVED.contains(&(target.resource.kind, other)) => {
            let what = format!("{}/{other}", target.resource.plural);
            return Err(ApiError::not_implemented(&what));
        }
        _ => return Err(ApiError::no_resource()),
    }
    match verb(target, &asked.parts.method, &asked.query) {
        "watch" => watch::start(shared, target, &asked.query, only_metadata).map(Reply::Stream),
        "list" => shared
            .read(|store| read::list(store, target, &asked.query))
            .map(|list| shown(only_metadata, list)),
        "get" => shared
            .read(|store| read::get(store, target))
            .map(|object| shown(only_metadata, object)),
        "create" if target.name.is_empty() => create(shared, target, asked),
        "update" if !target.name.is_empty() => update(shared, target, asked),
        "patch" if !target.name.is_empty() => change(shared, target, asked),
        "delete" if target.resource.kind == "Namespace" => {
            Err(ApiError::not_implemented("the deletion of a namespace"))
        }
        "delete" if target.subresource.is_empty() => remove(shared, target, asked),
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn shown(only_metadata: bool, value: Value) -> Reply {
    let value = if only_metadata {
        read::only_metadata(&value)
    } else {
        value
    };
    Reply::Json(StatusCode::OK, value)
}

fn read_object(asked: &Asked) -> ApiResult<Value> {
    match asked.media() {
        "" | "application/json" => asked.read_json(),
        "application/yaml" => asked.read_yaml(),
        _ => Err(ApiError::unsupported_media_type(
            "application/json, application/yaml",
        )),
    }
}

/// The kind of the options that a request carries.
fn options_kind(asked: &Asked) -> &'static str {
    match asked.parts.method {
        Method::POST => "CreateOptions",
        Method::PUT => "UpdateOptions",
        _ => "PatchOptions",
    }
}

fn writer(asked: &Asked) -> ApiResult<Writer> {
    let agent = asked.header("user-agent").unwrap_or_default();
    let manager = match asked.query.text("fieldManager") {
        // The default is the program's name in the user agent.
        "" => agent.split('/').next().unwrap_or_default(),
        manager => manager,
    };
    let dry_run = match asked.query.text("dryRun") {
        "" => false,
        "All" => true,
        other => {
            let error = FieldError::not_supported("dryRun", &json!([other]), &["All"]);
            return Err(ApiError::invalid_options(options_kind(asked), error));
        }
    };
    let validation = match asked.query.text("fieldValidation") {
        "" | "Warn" => Validation::Warn,
        "Ignore" => Validation::Ignore,
        "Strict" => Validation::Strict,
        other => {
            let known = ["", "Ignore", "Strict", "Warn"];
            let error = FieldError::not_supported("fieldValidation", &other.into(), &known);
            return Err(ApiError::invalid_options(options_kind(asked), error));
        }
    };
    Ok(Writer {
        manager: if manager.is_empty() {
            "unknown".into()
        } else {
            manager.to_owned()
        },
        dry_run,
        validation,
        unknown: Vec::new(),
    })
}

/// The answer to a write, with a warning of each field that was dropped.
fn written(result: ApiResult<(Arc<Value>, bool)>, writer: Writer) -> ApiResult<Reply> {
    let unknown = match writer.validation {
        Validation::Warn => writer.unknown,
        Validation::Ignore | Validation::Strict => Vec::new(),
    };
    match result {
        Ok((object, created)) => {
            let status = if created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            Ok(Reply::Written(status, (*object).clone(), unknown))
        }
        Err(error) => Err(ApiError { unknown, ..error }),
    }
}

fn create(shared: &Shared, target: &Target, asked: &Asked) -> ApiResult<Reply> {
    let body = read_object(asked)?;
    let mut writer = writer(asked)?;
    let result = shared.write(|store| write::create(store, target, &body, &mut writer));
    written(result.map(|object| (object, true)), writer)
}

fn update(shared: &Shared, target: &Target, asked: &Asked) -> ApiResult<Reply> {
    let body = read_object(asked)?;
    let mut writer = writer(asked)?;
    let result = shared.write(|store| write::replace(store, target, &body, &mut writer));
    written(result, writer)
}

fn change(shared: &Shared, target: &Target, asked: &Asked) -> ApiResult<Reply> {
    let mut writer = writer(asked)?;
    let media = asked.media();
    if media == "application/apply-patch+yaml" {
        return apply(shared, target, asked, writer);
    }
    if asked.query.flag("force") {
        let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
        return Err(ApiError::invalid_options("PatchOptions", error));
    }
    if media != "application/merge-patch+json" {
        return Err(ApiError::unsupported_patch());
    }
    let body = asked.read_json()?;
    let result = shared.write(|store| {
        write::modify(store, target, &mut writer, |live| {
            Ok(patch::merge(live, &body))
        })
    });
    written(result.map(|object| (object, false)), writer)
}

fn apply(shared: &Shared, target: &Target, asked: &Asked, mut writer: Writer) -> ApiResult<Reply> {
    if asked.query.text("fieldManager").is_empty() {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        return Err(ApiError::invalid_options("PatchOptions", error));
    }
    let config = asked.read_yaml()?;
    let force = asked.query.flag("force");
    let result = shared.write(|store| write::apply(store, target, &config, force, &mut writer));
    written(result, writer)
}

fn delete_options(asked: &Asked) -> ApiResult<delete::Options> {
    let body = if asked.body.is_empty() {
        Value::Null
    } else {
        asked.read_json()?
    };
    delete::Options::read(&asked.query, &body)
}

fn remove(shared: &Shared, target: &Target, asked: &Asked) -> ApiResult<Reply> {
    let options = delete_options(asked)?;
    let answer = shared.write(|store| delete::delete(store, target, &options))?;
    Ok(Reply::Json(StatusCode::OK, (*answer).clone()))
}

/// The output of a container.
fn log(shared: &Shared, target: &Target, asked: &Asked) -> ApiResult<Reply> {
    if asked.parts.method != Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    let pod = shared.read(|store| read::get(store, target))?;
    let name = &target.name;
    let names: Vec<&str> = ["initContainers", "containers"]
        .iter()
        .flat_map(|list| pod["spec"][*list].as_array().into_iter().flatten())
        .filter_map(|container| container["name"].as_str())
        .collect();
    let container = match (asked.query.text("container"), names.as_slice()) {
        ("", [only]) => only,
        ("", _) => {
            return Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                names.join(" ")
            )));
        }
        (wanted, names) if names.contains(&wanted) => wanted,
        (wanted, _) => {
            return Err(ApiError::bad_request(format!(
                "container {wanted} is not valid for pod {name}"
            )));
        }
    };
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    if asked.query.flag("follow") {
        return Err(ApiError::not_implemented("a log that is followed"));
    }
    match shared.logs.read(uid, container, &asked.query)? {
        Some(text) => Ok(Reply::Text(StatusCode::OK, text)),
        None if asked.query.flag("previous") => Err(ApiError::bad_request(format!(
            "previous terminated container {container:?} in pod {name:?} not found"
        ))),
        None => Err(ApiError::bad_request(format!(
            "container {container:?} in pod {name:?} is waiting to start: {}",
            waiting_reason(&pod, container)
        ))),
    }
}

fn waiting_reason(pod: &Value, container: &str) -> String {
    ["containerStatuses", "initContainerStatuses"]
        .iter()
        .flat_map(|list| pod["status"][*list].as_array().into_iter().flatten())
        .find(|status| status["name"] == container)
        .and_then(|status| status["state"]["waiting"]["reason"].as_str())
        .map_or("ContainerCreating", |reason| match reason {
            "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image",
            other => other,
        })
        .to_owned()
}
