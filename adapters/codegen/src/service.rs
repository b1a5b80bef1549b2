//! The code of one service.

use std::fmt::Write;

use crate::model::{MethodModel, ServiceModel};
use crate::names::{self, Taken};

/// The settings that the code of every service shares.
#[derive(Clone, Debug)]
pub(crate) struct Codegen {
    /// The path of the runtime's module `codegen`.
    pub(crate) path: String,
    /// The path of the codec.
    pub(crate) codec: String,
    /// Whether methods that a server does not implement answer UNIMPLEMENTED.
    pub(crate) default_methods: bool,
}

/// The name of the runtime's module `codegen` in the module of a service.
pub(crate) const RT: &str = "rt";

/// The names of a service and its methods.
struct Names {
    module: String,
    client: String,
    handlers: String,
    server: String,
}

/// A method, and its name.
struct NamedMethod<'a> {
    method: &'a MethodModel,
    function: String,
    constant: String,
    path: String,
}

impl NamedMethod<'_> {
    /// Returns the call type in the names of the driver's types.
    fn kind(&self) -> &'static str {
        match (self.method.request.streams, self.method.response.streams) {
            (false, false) => "Unary",
            (false, true) => "ServerStreaming",
            (true, false) => "ClientStreaming",
            (true, true) => "BidiStreaming",
        }
    }

    fn method_type(&self, codegen: &Codegen) -> String {
        let (rt, codec) = (RT, &codegen.codec);
        let side = |message: &crate::model::MessageType| {
            if message.streams { format!("{rt}::Many<{}>", message.path) } else { message.path.clone() }
        };
        format!("{rt}::Method<{}, {}, {codec}>", side(&self.method.request), side(&self.method.response))
    }
}

/// Names that every client has already.
const CLIENT: [&str; 4] = ["new", "clone", "carrier", "fmt"];
/// Constants that every service has.
const CONSTANTS: [&str; 2] = ["SERVICE_NAME", "METHODS"];

/// Writes the module of a service, and re-exports its types beside the messages, unless the name is in use.
pub(crate) fn write_service(text: &mut String, service: &ServiceModel, codegen: &Codegen, taken: &mut Taken) {
    let names = Names {
        module: taken.free(names::snake(&format!("{}_service", service.name))),
        client: names::camel_with(&service.name, "Client"),
        handlers: names::camel(&service.name),
        server: names::camel_with(&service.name, "Server"),
    };
    let (mut functions, mut constants) = (Taken::new(CLIENT), Taken::new(CONSTANTS));
    let methods: Vec<NamedMethod<'_>> = service
        .methods
        .iter()
        .map(|method| NamedMethod {
            function: functions.free(names::snake(&method.name)),
            constant: constants.free(names::shouty(&method.name)),
            path: format!("/{}/{}", service.full_name, method.name),
            method,
        })
        .collect();
    write_docs(text, &service.comments, &format!("The service `{}`.", service.full_name));
    let Names { module, .. } = &names;
    push(text, format_args!("pub mod {module} {{"));
    push(text, format_args!("use {} as {RT};", codegen.path));
    write_constants(text, service, &methods, codegen);
    write_client(text, service, &names, &methods, codegen);
    write_handlers(text, service, &names, &methods, codegen);
    write_server(text, service, &names, &methods);
    text.push_str("}\n");
    // A type that is not re-exported is still available in the module.
    let visible: Vec<String> = [&names.handlers, &names.client, &names.server]
        .into_iter()
        .filter(|name| taken.free((*name).clone()) == **name)
        .cloned()
        .collect();
    push(text, format_args!("#[doc(inline)] pub use self::{module}::{{{}}};", visible.join(", ")));
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = text.write_fmt(line);
    text.push('\n');
}

/// Writes a comment of the file, or a replacement; the text after `---` is ours.
fn write_docs(text: &mut String, comments: &[String], instead: &str) {
    if comments.iter().all(|line| line.trim().is_empty()) {
        push(text, format_args!("#[doc = {:?}]", format!(" {instead}")));
    }
    for line in comments {
        push(text, format_args!("#[doc = {line:?}]"));
    }
}

fn write_deprecated(text: &mut String, deprecated: bool) {
    if deprecated {
        text.push_str("#[deprecated]\n");
    }
}

fn write_constants(
    text: &mut String,
    service: &ServiceModel,
    methods: &[NamedMethod<'_>],
    codegen: &Codegen,
) {
    let rt = RT;
    push(text, format_args!("/// The name of the service."));
    push(text, format_args!("pub const SERVICE_NAME: &::core::primitive::str = {:?};", service.full_name));
    for named in methods {
        let NamedMethod { constant, path, .. } = named;
        push(text, format_args!("#[doc = \" The method `{}`.\"]", named.method.name));
        let method_type = named.method_type(codegen);
        push(text, format_args!("pub const {constant}: {method_type} = {rt}::Method::new({path:?});"));
    }
    push(text, format_args!("/// All methods of the service."));
    push(text, format_args!("pub const METHODS: &[{rt}::MethodInfo] = &["));
    for named in methods {
        let method = named.method;
        let call_type = match named.kind() {
            "Unary" => "UNARY",
            "ServerStreaming" => "SERVER_STREAMING",
            "ClientStreaming" => "CLIENT_STREAMING",
            _ => "BIDI",
        };
        let (name, path) = (&method.name, &named.path);
        let mut info = format!("{rt}::MethodInfo::new({name:?}, {path:?}, {rt}::CallType::{call_type})");
        if let Some(idempotency) = method.idempotency {
            info.push_str(&format!(".idempotency({rt}::Idempotency::{idempotency})"));
        }
        if method.deprecated {
            info.push_str(".deprecated(true)");
        }
        push(text, format_args!("{info},"));
    }
    text.push_str("];\n");
}

fn write_client(
    text: &mut String,
    service: &ServiceModel,
    names: &Names,
    methods: &[NamedMethod<'_>],
    codegen: &Codegen,
) {
    let rt = RT;
    let Names { client, .. } = names;
    push(
        text,
        format_args!(
            "#[doc = \" Calls the methods of `{}`. Clones share what carries the calls.\"]",
            service.full_name
        ),
    );
    push(text, format_args!("#[derive(::core::clone::Clone, ::core::fmt::Debug)]"));
    write_deprecated(text, service.deprecated);
    push(text, format_args!("pub struct {client}<C> {{ carrier: C }}"));
    push(text, format_args!("impl<C> {client}<C> {{"));
    push(text, format_args!("/// Makes a client of what carries its calls."));
    push(text, format_args!("pub const fn new(carrier: C) -> Self {{ Self {{ carrier }} }}"));
    push(text, format_args!("/// Returns what carries its calls."));
    push(text, format_args!("pub const fn carrier(&self) -> &C {{ &self.carrier }}"));
    text.push_str("}\n");
    push(text, format_args!("impl<C: {rt}::Invoke> {client}<C> {{"));
    for named in methods {
        write_call(text, named, codegen);
    }
    text.push_str("}\n");
}

fn write_call(text: &mut String, named: &NamedMethod<'_>, codegen: &Codegen) {
    let (rt, codec) = (RT, &codegen.codec);
    let NamedMethod { method, function, constant, path, .. } = named;
    write_docs(text, &method.comments, &format!("Calls `{path}`."));
    write_deprecated(text, method.deprecated);
    let (request, response) = (&method.request.path, &method.response.path);
    let kind = named.kind();
    if method.request.streams {
        push(
            text,
            format_args!(
                "pub fn {function}(&self) -> {rt}::{kind}Call<'_, C, {request}, {response}, {codec}> {{ \
                 {rt}::{kind}Call::new(&self.carrier, &{constant}) }}"
            ),
        );
    } else {
        push(
            text,
            format_args!(
                "pub fn {function}(&self, request: impl ::core::borrow::Borrow<{request}>) \
                 -> {rt}::{kind}Call<'_, C, {response}, {codec}> {{ \
                 {rt}::{kind}Call::new(&self.carrier, &{constant}, ::core::borrow::Borrow::borrow(&request)) }}"
            ),
        );
    }
}

fn write_handlers(
    text: &mut String,
    service: &ServiceModel,
    names: &Names,
    methods: &[NamedMethod<'_>],
    codegen: &Codegen,
) {
    let Names { handlers, server, .. } = names;
    let instead = format!("Serves `{}`.", service.full_name);
    write_docs(text, &service.comments, &instead);
    push(
        text,
        format_args!(
            "///\n/// Every method is an `async fn` of `&self`; what it returns is the status of its call. [`{server}`] adds them to a router."
        ),
    );
    push(
        text,
        format_args!("pub trait {handlers}: ::core::marker::Send + ::core::marker::Sync + 'static {{"),
    );
    for named in methods {
        write_handler(text, named, codegen);
    }
    text.push_str("}\n");
}

/// Returns the parameters of a handler, and its return type on success.
fn signature(named: &NamedMethod<'_>, codegen: &Codegen) -> (String, String) {
    let (rt, codec) = (RT, &codegen.codec);
    let (request, response) = (&named.method.request.path, &named.method.response.path);
    let one = format!("{rt}::Response<{response}>");
    match named.kind() {
        "Unary" => (format!("request: {rt}::Request<{request}>"), one),
        "ServerStreaming" => (
            format!(
                "request: {rt}::Request<{request}>, call: {rt}::ServerStreamingServer<{response}, {codec}>"
            ),
            "()".to_owned(),
        ),
        "ClientStreaming" => {
            (format!("call: {rt}::ClientStreamingServer<{request}, {response}, {codec}>"), one)
        }
        _ => (format!("call: {rt}::BidiStreamingServer<{request}, {response}, {codec}>"), "()".to_owned()),
    }
}

fn arguments(named: &NamedMethod<'_>) -> &'static str {
    match named.kind() {
        "Unary" => "request",
        "ServerStreaming" => "request, call",
        _ => "call",
    }
}

fn write_handler(text: &mut String, named: &NamedMethod<'_>, codegen: &Codegen) {
    let rt = RT;
    let NamedMethod { method, function, path, .. } = named;
    let (parameters, output) = signature(named, codegen);
    write_docs(text, &method.comments, &format!("Serves `{path}`."));
    let result = format!("::core::result::Result<{output}, {rt}::Status>");
    push(
        text,
        format_args!(
            "fn {function}(&self, {parameters}) -> impl ::core::future::Future<Output = {result}> + ::core::marker::Send"
        ),
    );
    if codegen.default_methods {
        let given = arguments(named);
        let refusal = format!("{path} is not implemented");
        push(
            text,
            format_args!(
                "{{ let _ = ({given}); ::core::future::ready(::core::result::Result::Err({rt}::Status::unimplemented({refusal:?}))) }}"
            ),
        );
    } else {
        text.push_str(";\n");
    }
}

fn write_server(text: &mut String, service: &ServiceModel, names: &Names, methods: &[NamedMethod<'_>]) {
    let rt = RT;
    let Names { handlers, server, .. } = names;
    push(
        text,
        format_args!(
            "#[doc = \" The methods of `{}` for a router, served by a [`{handlers}`].\"]",
            service.full_name
        ),
    );
    push(text, format_args!("#[derive(::core::fmt::Debug)]"));
    push(text, format_args!("pub struct {server}<T> {{ service: ::std::sync::Arc<T> }}"));
    push(
        text,
        format_args!(
            "impl<T> ::core::clone::Clone for {server}<T> {{ fn clone(&self) -> Self {{ Self {{ service: ::std::sync::Arc::clone(&self.service) }} }} }}"
        ),
    );
    push(text, format_args!("impl<T: self::{handlers}> {server}<T> {{"));
    push(text, format_args!("/// Makes the methods of what serves them."));
    push(
        text,
        format_args!("pub fn new(service: T) -> Self {{ Self::shared(::std::sync::Arc::new(service)) }}"),
    );
    push(text, format_args!("/// Makes the methods of what serves them, and something else too."));
    push(
        text,
        format_args!("pub const fn shared(service: ::std::sync::Arc<T>) -> Self {{ Self {{ service }} }}"),
    );
    push(text, format_args!("/// Returns a router of these methods alone."));
    push(
        text,
        format_args!("pub fn into_router(self) -> {rt}::Router {{ {rt}::Router::new().add_service(self) }}"),
    );
    text.push_str("}\n");
    push(text, format_args!("impl<T: self::{handlers}> {rt}::Service for {server}<T> {{"));
    push(text, format_args!("const NAME: &'static ::core::primitive::str = SERVICE_NAME;"));
    push(text, format_args!("fn add_to(self, router: {rt}::Router) -> {rt}::Router {{"));
    if methods.is_empty() {
        text.push_str("let _ = self.service;\n");
    }
    for named in methods {
        let NamedMethod { function, constant, .. } = named;
        let add = match named.kind() {
            "Unary" => "unary",
            "ServerStreaming" => "server_streaming",
            "ClientStreaming" => "client_streaming",
            _ => "bidi_streaming",
        };
        let given = arguments(named);
        push(
            text,
            format_args!(
                "let service = ::std::sync::Arc::clone(&self.service); \
                 let router = router.{add}(&{constant}, move |{given}| {{ \
                 let service = ::std::sync::Arc::clone(&service); \
                 async move {{ <T as self::{handlers}>::{function}(&*service, {given}).await }} }});"
            ),
        );
    }
    text.push_str("router\n}\n}\n");
}
