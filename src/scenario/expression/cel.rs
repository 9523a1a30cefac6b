//! The interpreter behind expressions that are more than a comparison.
//!
//! What an expression refers to is found when it is compiled, so that only that is built for a request, and
//! so that a misspelt `request.headrs` is an error in the file and not silence in the run.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, OnceLock},
};

use ::cel::{
    Context, Env, ExecutionError, IdedExpr, Value,
    common::ast::{EntryExpr, Expr, LiteralValue, SourceInfo, operators},
    objects::Key,
};
use http::{HeaderMap, HeaderName, Method};

use super::{
    ExpressionError, RequestView,
    features::{Feature, Features, is_features},
    shape,
};
use crate::{
    scenario::problem::{nearest, one_of},
    wire,
};

const ATTRIBUTES: [&str; 4] = ["method", "path", "headers", "body"];
const FUNCTIONS: [&str; 12] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "int",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];

/// Longest expression, in characters.
const LONGEST: usize = 1024;
/// Most brackets and question marks, each of which the parser answers with recursion.
const BRACKETS: usize = 100;
/// Stack of the thread that parses, which is several times what so many brackets need.
const STACK: usize = 64 << 20;
/// Deepest expression that is evaluated, by recursion on the thread of a request.
const DEEPEST: usize = 40;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Cel {
    expression: IdedExpr,
    uses: Uses,
}

/// What an expression refers to.
#[derive(Debug, Default)]
struct Uses {
    method: bool,
    path: bool,
    body: bool,
    /// Headers that it names; in lower case.
    headers: BTreeSet<String>,
    /// It uses the headers in another way than by name.
    all_headers: bool,
    features: BTreeSet<Feature>,
    status: bool,
    answer: bool,
}

/// What an expression may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// `request`
    Request,
    /// `request` and `features`
    Rows,
    /// `status` and `body` of an answer
    Answer,
}

pub(super) fn wrong(message: impl Into<String>, offset: Option<usize>) -> ExpressionError {
    ExpressionError { message: message.into(), offset }
}

fn environment() -> Arc<Env> {
    static ENVIRONMENT: OnceLock<Arc<Env>> = OnceLock::new();
    Arc::clone(ENVIRONMENT.get_or_init(|| Arc::new(Env::stdlib())))
}

impl Cel {
    pub(super) fn compile(text: &str, scope: Scope) -> Result<Cel, ExpressionError> {
        if text.trim().is_empty() {
            return Err(wrong("it is empty", None));
        }
        if text.chars().count() > LONGEST {
            return Err(wrong(format!("it is longer than {LONGEST} characters"), None));
        }
        if text.matches(['(', '[', '{', '?']).count() > BRACKETS {
            return Err(wrong(format!("it has more than {BRACKETS} brackets"), None));
        }
        let parse = || -> Result<Cel, ExpressionError> {
            let program = environment().compile(text).map_err(|errors| syntax(text, &errors))?;
            let mut expression = program.expression().clone();
            let info = program.source_info();
            let mut walk = Walk { uses: Uses::default(), scope, bound: Vec::new(), depth: 0, text, info };
            walk.visit(&mut expression)?;
            Ok(Cel { expression, uses: walk.uses })
        };
        std::thread::scope(|threads| {
            let builder = std::thread::Builder::new().name("cel".to_owned()).stack_size(STACK);
            let thread = builder.spawn_scoped(threads, parse).map_err(|e| wrong(e.to_string(), None))?;
            thread.join().unwrap_or_else(|_| Err(wrong("the CEL parser gave up on it", None)))
        })
    }

    pub(super) fn expression(&self) -> &IdedExpr {
        &self.expression
    }

    pub(super) fn needs_body(&self) -> bool {
        self.uses.body
    }

    pub(super) fn reads_request(&self) -> bool {
        let Uses { method, path, body, headers, all_headers, .. } = &self.uses;
        *method || *path || *body || *all_headers || !headers.is_empty()
    }

    pub(super) fn needs_features(&self) -> bool {
        !self.uses.features.is_empty()
    }

    pub(super) fn reads_answer(&self) -> bool {
        self.uses.answer || self.uses.status
    }

    pub(super) fn reads_status(&self) -> bool {
        self.uses.status
    }

    /// Evaluates it on an answer; `None` when it reads what that does not have.
    pub(super) fn evaluate_answer(
        &self,
        status: u16,
        body: &serde_json::Value,
    ) -> Result<Option<Value>, ExpressionError> {
        let mut context = Context::with_env(environment());
        context.add_variable_from_value("status", Value::Int(i64::from(status)));
        if self.uses.answer {
            context.add_variable_from_value("body", json(body));
        }
        present(Value::resolve(&self.expression, &context))
    }

    /// Evaluates it; `None` when it reads what the request does not have.
    pub(super) fn evaluate(&self, request: RequestView<'_>) -> Result<Option<Value>, ExpressionError> {
        present(Value::resolve(&self.expression, &self.context(request)))
    }

    /// Evaluates it for each row of a request.
    pub(super) fn evaluate_rows<'a>(
        &self,
        request: RequestView<'_>,
        rows: impl Iterator<Item = Features<'a>>,
        mut with: impl FnMut(Option<Value>) -> Result<(), ExpressionError>,
    ) -> Result<(), ExpressionError> {
        let context = self.context(request);
        for features in rows {
            let mut context = context.new_inner_scope();
            context.add_variable_from_value("features", self.features(features));
            with(present(Value::resolve(&self.expression, &context))?)?;
        }
        Ok(())
    }

    /// Evaluates it on a request that has everything but a body, to find values that can't be meant. `None`
    /// if that tells nothing.
    pub(super) fn rehearse(&self) -> Result<Option<Value>, ExpressionError> {
        if self.uses.body {
            return Ok(None);
        }
        let mut headers = HeaderMap::new();
        for name in &self.uses.headers {
            if let Ok(name) = name.parse::<HeaderName>() {
                headers.insert(name, http::HeaderValue::from_static("1"));
            }
        }
        let request = RequestView { method: &Method::POST, path: "/", headers: &headers, body: None };
        let mut context = self.context(request);
        if self.needs_features() {
            // Whether a feature is a number or a text is not known here: what works with either is told.
            let any = [Value::Float(1.0), Value::String(Arc::new("1".to_owned()))].into_iter();
            return Ok(any.into_iter().find_map(|value| {
                let of = |feature: &Feature| (feature.into(), value.clone());
                let features: HashMap<Key, Value> = self.uses.features.iter().map(of).collect();
                context.add_variable_from_value("features", features);
                Value::resolve(&self.expression, &context).ok()
            }));
        }
        match Value::resolve(&self.expression, &context) {
            Ok(value) => Ok(Some(value)),
            Err(
                error @ (ExecutionError::NoSuchOverload(_)
                | ExecutionError::UnexpectedType { .. }
                | ExecutionError::UnsupportedBinaryOperator(..)
                | ExecutionError::ValuesNotComparable(..)
                | ExecutionError::UndeclaredReference(_)),
            ) => Err(wrong(error.to_string(), Some(0))),
            Err(_) => Ok(None),
        }
    }

    fn context(&self, request: RequestView<'_>) -> Context<'static, 'static> {
        let mut attributes: HashMap<String, Value> = HashMap::with_capacity(4);
        let text = |text: &str| Value::String(Arc::new(text.to_owned()));
        if self.uses.method {
            attributes.insert("method".to_owned(), text(request.method.as_str()));
        }
        if self.uses.path {
            attributes.insert("path".to_owned(), text(request.path));
        }
        if self.uses.all_headers || !self.uses.headers.is_empty() {
            attributes.insert("headers".to_owned(), self.headers(request.headers).into());
        }
        if let Some(body) = request.body.filter(|_| self.uses.body) {
            attributes.insert("body".to_owned(), json(body));
        }
        let mut context = Context::with_env(environment());
        context.add_variable_from_value("request", attributes);
        context
    }

    /// The features that it names and that the row has.
    fn features(&self, row: Features<'_>) -> HashMap<Key, Value> {
        let value = |value: &wire::Value| match value {
            wire::Value::Text(text) => Value::String(Arc::new(text.clone())),
            wire::Value::Bool(truth) => Value::Bool(*truth),
            number => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        };
        let present = |feature: &Feature| Some((feature.into(), value(row.get(feature)?)));
        self.uses.features.iter().filter_map(present).collect()
    }

    fn headers(&self, headers: &HeaderMap) -> HashMap<String, Value> {
        let text = |value: &http::HeaderValue| {
            Value::String(Arc::new(String::from_utf8_lossy(value.as_bytes()).into_owned()))
        };
        if self.uses.all_headers {
            let first = |name: &HeaderName| headers.get(name).map(text).unwrap_or(Value::Null);
            return headers.keys().map(|name| (name.as_str().to_owned(), first(name))).collect();
        }
        let present = |name: &String| headers.get(name.as_str()).map(|v| (name.clone(), text(v)));
        self.uses.headers.iter().filter_map(present).collect()
    }
}

impl From<&Feature> for Key {
    fn from(feature: &Feature) -> Key {
        match feature {
            Feature::Name(name) => Key::String(Arc::new(name.clone())),
            Feature::Index(index) => Key::Int(i64::try_from(*index).unwrap_or(i64::MAX)),
        }
    }
}

/// `None` for what is absent.
fn present(result: Result<Value, ExecutionError>) -> Result<Option<Value>, ExpressionError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ExecutionError::NoSuchKey(_)) => Ok(None),
        Err(error) => Err(wrong(error.to_string(), None)),
    }
}

/// A JSON value as CEL sees it: whole numbers are ints, the rest of the numbers doubles.
fn json(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(list) => list.iter().map(json).collect::<Vec<_>>().into(),
        Json::Object(map) => map.iter().map(|(k, v)| (k.clone(), json(v))).collect::<HashMap<_, _>>().into(),
    }
}

/// A value's type in words.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::String(_) => "a text".to_owned(),
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => "a number".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Null => "null".to_owned(),
        other => other.type_of().to_string(),
    }
}

fn syntax(text: &str, errors: &::cel::ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else { return wrong("it is no CEL", None) };
    let (line, column) = (first.pos.0.max(1) as usize, first.pos.1.max(1) as usize);
    let before: usize = text.split_inclusive('\n').take(line - 1).map(|l| l.chars().count()).sum();
    let offset = Some((before + column - 1).min(text.chars().count()));
    let said = first.msg.trim().trim_start_matches("Syntax error: ").replace('\n', " ");
    let said = said.split(" expecting ").next().unwrap_or_default();
    if said.contains("<EOF>") {
        return wrong("it ends too early", offset);
    }
    match said.strip_prefix("token recognition error at: ") {
        Some(token) if token.starts_with("'=") => wrong("`=` means nothing here; `==` compares", offset),
        Some(token) => wrong(format!("{token} means nothing here"), offset),
        None => wrong(said, offset),
    }
}

/// Finds what an expression refers to, and refuses what it can't.
struct Walk<'a> {
    uses: Uses,
    scope: Scope,
    bound: Vec<String>,
    depth: usize,
    text: &'a str,
    info: &'a SourceInfo,
}

impl Walk<'_> {
    fn offset(&self, id: u64) -> Option<usize> {
        let (start, _) = self.info.offset_for(id)?;
        // A selection stands at its dot; what is meant is the name behind it.
        let start = start as usize + usize::from(self.text.as_bytes().get(start as usize) == Some(&b'.'));
        Some(self.text.get(..start)?.chars().count())
    }

    fn visit(&mut self, node: &mut IdedExpr) -> Result<(), ExpressionError> {
        if self.depth >= DEEPEST {
            return Err(wrong(format!("it is nested more than {DEEPEST} deep"), self.offset(node.id)));
        }
        self.depth += 1;
        let result = self.visit_inside(node);
        self.depth -= 1;
        result
    }

    fn visit_inside(&mut self, node: &mut IdedExpr) -> Result<(), ExpressionError> {
        let id = node.id;
        if let Some(attribute) = shape::attribute(node)
            && self.scope != Scope::Answer
        {
            return self.attribute(id, attribute);
        }
        match &mut node.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) if name.starts_with('@') || self.bound.contains(name) => {}
            Expr::Ident(name) if self.scope == Scope::Answer => match name.as_str() {
                "status" => self.uses.status = true,
                "body" => self.uses.answer = true,
                _ => {
                    let message = format!("nothing is called `{name}`; there are only `status` and `body`");
                    return Err(wrong(message, self.offset(id)));
                }
            },
            Expr::Ident(name) if name == "request" => {
                return Err(wrong(format!("say which part of the request: {}", parts()), self.offset(id)));
            }
            Expr::Ident(name) if name == "features" => {
                self.rows_only(id)?;
                let message = "say which feature: `features[\"age\"]` or `features[0]`";
                return Err(wrong(message, self.offset(id)));
            }
            Expr::Ident(name) => {
                let known = match self.scope {
                    Scope::Request => "there is only `request`",
                    Scope::Rows => "there are only `request` and `features`",
                    Scope::Answer => "there are only `status` and `body`",
                };
                let message = format!("nothing is called `{name}`; {known}");
                return Err(wrong(message, self.offset(id)));
            }
            Expr::Select(select) => {
                let request = matches!(&select.operand.expr, Expr::Ident(name) if name == "request");
                if request {
                    return self.attribute(id, &select.field.clone());
                }
                if is_features(&select.operand) && !self.is_bound("features") {
                    let feature = Feature::Name(select.field.clone());
                    return self.feature(id, feature);
                }
                if shape::attribute(&select.operand) == Some("headers") {
                    // `has(request.headers.name)` and `request.headers.name`
                    select.field = self.header(&select.field.clone());
                    return Ok(());
                }
                self.visit(&mut select.operand)?;
            }
            Expr::Call(call) => {
                let headers = |e: &IdedExpr| shape::attribute(e) == Some("headers");
                match (call.func_name.as_str(), call.args.as_mut_slice()) {
                    (operators::INDEX | operators::OPT_INDEX, [map, key]) | (operators::IN, [key, map])
                        if headers(map) && shape::text(key).is_some() =>
                    {
                        let name = self.header(shape::text(key).unwrap_or_default());
                        key.expr = Expr::Literal(LiteralValue::String(name.into()));
                        return Ok(());
                    }
                    (operators::INDEX | operators::OPT_INDEX, [map, key]) | (operators::IN, [key, map])
                        if is_features(map) && !self.is_bound("features") =>
                    {
                        let Some(feature) = Feature::key(key) else {
                            let message = "name the feature: a text, or its place from 0";
                            return Err(wrong(message, self.offset(key.id)));
                        };
                        return self.feature(id, feature);
                    }
                    (name, _) if is_function(name) => {}
                    (name, _) => return Err(self.unknown_function(id, name)),
                }
                for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                    self.visit(part)?;
                }
            }
            Expr::Comprehension(all) => {
                self.visit(&mut all.iter_range)?;
                self.visit(&mut all.accu_init)?;
                let before = self.bound.len();
                self.bound.extend([all.iter_var.clone(), all.accu_var.clone()]);
                self.bound.extend(all.iter_var2.clone());
                self.visit(&mut all.loop_cond)?;
                self.visit(&mut all.loop_step)?;
                self.visit(&mut all.result)?;
                self.bound.truncate(before);
            }
            Expr::List(list) => {
                for element in &mut list.elements {
                    self.visit(element)?;
                }
            }
            Expr::Map(map) => self.entries(map.entries.iter_mut().map(|e| &mut e.expr))?,
            Expr::Struct(new) => self.entries(new.entries.iter_mut().map(|e| &mut e.expr))?,
        }
        Ok(())
    }

    fn entries<'e>(&mut self, all: impl Iterator<Item = &'e mut EntryExpr>) -> Result<(), ExpressionError> {
        for entry in all {
            match entry {
                EntryExpr::StructField(field) => self.visit(&mut field.value)?,
                EntryExpr::MapEntry(entry) => {
                    self.visit(&mut entry.key)?;
                    self.visit(&mut entry.value)?;
                }
            }
        }
        Ok(())
    }

    fn attribute(&mut self, id: u64, name: &str) -> Result<(), ExpressionError> {
        match name {
            "method" => self.uses.method = true,
            "path" => self.uses.path = true,
            "body" => self.uses.body = true,
            "headers" => self.uses.all_headers = true,
            _ => {
                let message = match nearest(name, &ATTRIBUTES) {
                    Some(right) => format!("a request has no `{name}`; did you mean `request.{right}`?"),
                    None => format!("a request has no `{name}`, only {}", parts()),
                };
                return Err(wrong(message, self.offset(id)));
            }
        }
        Ok(())
    }

    fn is_bound(&self, name: &str) -> bool {
        self.bound.iter().any(|bound| bound == name)
    }

    fn rows_only(&self, id: u64) -> Result<(), ExpressionError> {
        let message =
            "features are told apart row by row; they belong in `where` or in the `group` of a fault";
        match self.scope {
            Scope::Rows => Ok(()),
            Scope::Request | Scope::Answer => Err(wrong(message, self.offset(id))),
        }
    }

    fn feature(&mut self, id: u64, feature: Feature) -> Result<(), ExpressionError> {
        self.rows_only(id)?;
        self.uses.features.insert(feature);
        Ok(())
    }

    fn header(&mut self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        self.uses.headers.insert(name.clone());
        name
    }

    fn unknown_function(&self, id: u64, name: &str) -> ExpressionError {
        let message = match nearest(name, &FUNCTIONS) {
            Some(right) => format!("there is no function `{name}`; did you mean `{right}`?"),
            None => format!("there is no function `{name}`, only {}", one_of(&FUNCTIONS)),
        };
        wrong(message, self.offset(id))
    }
}

fn is_function(name: &str) -> bool {
    let operator = name.starts_with(['_', '!', '-', '@']);
    operator || FUNCTIONS.contains(&name)
}

fn parts() -> String {
    one_of(&ATTRIBUTES.map(|name| format!("request.{name}")))
}
