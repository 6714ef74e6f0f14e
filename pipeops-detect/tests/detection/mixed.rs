//! Repositories that mix languages, as real ones do, and what a developer would say that they are.

use pipeops_detect::Language::*;

use crate::layout::*;

const GIN: &str = "module x\n\ngo 1.24\n\nrequire github.com/gin-gonic/gin v1.10.0\n";
const FASTAPI: &str = "from fastapi import FastAPI\napp = FastAPI()\n";
const NEXT: &str = r#"{"private": true, "scripts": {"dev": "next dev", "build": "next build", "start": "next start"}, "dependencies": {"next": "15", "react": "19"}}"#;
const VUE: &str = r#"{"private": true, "scripts": {"dev": "vite", "build": "vite build"}, "dependencies": {"vue": "3"}, "devDependencies": {"vite": "5"}}"#;
const BOTH: &str = r#"{"private": true, "scripts": {"dev": "concurrently \"npm run dev --prefix client\" \"npm run dev --prefix server\""}, "devDependencies": {"concurrently": "9"}}"#;
const BOTH_NEEDED: &str = r#"{"scripts": {"dev": "concurrently \"npm run a\" \"npm run b\""}, "dependencies": {"concurrently": "9"}}"#;
const BOTH_STARTED: &str = r#"{"scripts": {"start": "concurrently \"npm run a\" \"npm run b\""}, "dependencies": {"concurrently": "9"}}"#;
const PHONES: &str = r#"{"main": "index.js", "scripts": {"start": "react-native start"}, "dependencies": {"react-native": "0.74"}}"#;
const DOCUSAURUS: &str = r#"{"private": true, "scripts": {"start": "docusaurus start", "build": "docusaurus build"}, "dependencies": {"@docusaurus/core": "3"}}"#;
const SPRING: &str = "<project><parent><artifactId>spring-boot-starter-parent</artifactId></parent><artifactId>spring-boot-starter-web</artifactId></project>";
const CARGO_LIB: &str = "[package]\nname = \"lib\"\n";
const PHONE: &str = "name: app\ndependencies:\n  flutter:\n    sdk: flutter\n";
const CMAKE_LIB: &str = "project(native)\nadd_library(native src/native.cc)\n";
const CROW: &str = "project(shop)\nfind_package(Crow)\nadd_executable(shop main.cpp)\ntarget_link_libraries(shop Crow::Crow)\n";

// One line per layout.
#[rustfmt::skip]
pub(crate) const LAYOUTS: &[Layout] = &[
    // A front end and a back end side by side: two apps.
    ("client and server of node", &[("client/package.json", REACT), ("server/package.json", EXPRESS), ("server/index.js", "")], None, ".", &["client", "server"]),
    ("tools at the root that start both", &[("package.json", BOTH), ("client/package.json", VUE), ("server/package.json", EXPRESS), ("server/index.js", "")], None, ".", &["client", "server"]),
    ("the same as a dependency for users", &[("package.json", BOTH_NEEDED), ("client/package.json", VUE), ("server/package.json", EXPRESS), ("server/index.js", "")], None, ".", &["client", "server"]),
    ("a start that starts both", &[("package.json", BOTH_STARTED), ("client/package.json", VUE), ("server/package.json", EXPRESS), ("server/index.js", "")], None, ".", &["client", "server"]),
    ("web and api", &[("web/package.json", NEXT), ("api/go.mod", GIN), ("api/main.go", GO_MAIN)], None, ".", &["api", "web"]),
    ("ui and backend of java", &[("ui/package.json", VUE), ("backend/pom.xml", SPRING), ("backend/src/main/java/A.java", "")], None, ".", &["backend", "ui"]),
    ("frontend and backend of python", &[("frontend/package.json", NEXT), ("backend/requirements.txt", "fastapi\nuvicorn"), ("backend/main.py", FASTAPI), ("docker-compose.yml", "")], None, ".", &["backend", "frontend"]),
    ("a plain page as front end", &[("frontend/index.html", ""), ("frontend/app.js", ""), ("backend/requirements.txt", "flask"), ("backend/app.py", FLASK)], None, ".", &["backend", "frontend"]),
    ("a back end of rust and a site", &[("server/Cargo.toml", CARGO), ("server/src/main.rs", ""), ("www/index.html", "")], None, ".", &["server", "www"]),
    ("a worker is an app too", &[("api/go.mod", GIN), ("api/main.go", GO_MAIN), ("worker/requirements.txt", "celery"), ("worker/main.py", "")], None, ".", &["api", "worker"]),
    ("a library beside an app is none", &[("api/go.mod", GIN), ("api/main.go", GO_MAIN), ("common/go.mod", "module common"), ("common/a.go", "package common")], Some(Go), "api", &[]),
    // A front end inside of a server's repository: the root is the app.
    ("go with a front end in web", &[("go.mod", GIN), ("main.go", GO_MAIN), ("web/package.json", VUE), ("web/index.html", "")], Some(Go), ".", &[".", "web"]),
    ("maven with a front end in its sources", &[("pom.xml", SPRING), ("src/main/java/A.java", ""), ("src/main/frontend/package.json", VUE)], Some(Java), ".", &[]),
    ("gradle with a front end", &[("build.gradle", "plugins { id 'org.springframework.boot' version '3.4.0' }"), ("src/main/java/A.java", ""), ("frontend/package.json", REACT)], Some(Java), ".", &[".", "frontend"]),
    ("django with a front end", &[("manage.py", ""), ("shop/settings.py", ""), ("shop/wsgi.py", ""), ("requirements.txt", "django"), ("frontend/package.json", REACT)], Some(Python), ".", &[".", "frontend"]),
    ("rust with a front end", &[("Cargo.toml", CARGO), ("src/main.rs", ""), ("ui/package.json", VUE)], Some(Rust), ".", &[".", "ui"]),
    ("express with a client", &[("package.json", EXPRESS), ("index.js", ""), ("client/package.json", REACT)], Some(Nodejs), ".", &[]),
    ("rails with a front end", &[("Gemfile", "gem 'rails'"), ("config/application.rb", ""), ("config.ru", ""), ("frontend/package.json", VUE)], Some(Ruby), ".", &[".", "frontend"]),
    ("phoenix with assets", &[("mix.exs", "{:phoenix, \"~> 1.7\"}"), ("assets/package.json", TOOLS), ("priv/static/index.html", "")], Some(Elixir), ".", &[]),
    ("lucky builds its styles by node", &[("shard.yml", "name: shop\ntargets:\n  shop:\n    main: src/shop.cr\ndependencies:\n  lucky:\n    github: luckyframework/lucky\n"), ("package.json", r#"{"private": true, "scripts": {"prod": "mix"}, "dependencies": {"laravel-mix": "6"}}"#)], Some(Crystal), ".", &[]),
    // A front end at the root: its back end is an app of its own, and the root is what was asked about.
    ("a front end at the root, its api in go", &[("package.json", VUE), ("index.html", ""), ("api/go.mod", GIN), ("api/main.go", GO_MAIN)], Some(Nodejs), ".", &[".", "api"]),
    ("a front end at the root, its server in python", &[("package.json", REACT), ("server/requirements.txt", "flask"), ("server/app.py", FLASK)], Some(Nodejs), ".", &[".", "server"]),
    ("a page at the root, its api in a folder", &[("index.html", ""), ("app.js", ""), ("backend/package.json", EXPRESS), ("backend/index.js", "")], Some(Static), ".", &[".", "backend"]),
    ("next with functions of its host", &[("package.json", NEXT), ("api/index.py", "handler = 1"), ("vercel.json", "{}")], Some(Nodejs), ".", &[]),
    ("a front end with functions of its host", &[("package.json", VUE), ("netlify/functions/a.js", "exports.handler = 1"), ("supabase/functions/x/index.ts", "Deno.serve(f)")], Some(Nodejs), ".", &[]),
    // Code of others, and what builds leave.
    ("vendored servers", &[("Cargo.toml", CARGO), ("src/main.rs", ""), ("third_party/x/package.json", EXPRESS), ("external/y/go.mod", GIN), ("deps/z/setup.py", "")], Some(Rust), ".", &[]),
    ("only an app below and vendored code", &[("app/composer.json", LARAVEL), ("app/public/index.php", ""), ("external/y/go.mod", GIN), ("external/y/main.go", GO_MAIN)], Some(Php), "app", &[]),
    ("packages for browsers below static", &[("app/requirements.txt", "flask"), ("app/app.py", FLASK), ("app/static/js/vendor/jquery/package.json", EXPRESS), ("static/lib/x/package.json", EXPRESS)], Some(Python), "app", &[]),
    ("an environment of any name", &[("shop/main.py", FASTAPI), ("shop/requirements.txt", "fastapi"), ("myenv/pyvenv.cfg", "home = /usr"), ("myenv/app/requirements.txt", "flask"), ("myenv/app/app.py", FLASK)], Some(Python), "shop", &[]),
    ("gems in the tree", &[("Gemfile", "gem 'sinatra'"), ("app.rb", ""), ("vendor/bundle/x/package.json", EXPRESS)], Some(Ruby), ".", &[]),
    ("reports of coverage are no site", &[("lib/go.mod", "module lib"), ("coverage/index.html", ""), ("htmlcov/index.html", "")], None, ".", &[]),
    ("published files of .net", &[("Web.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\">"), ("wwwroot/lib/x/package.json", EXPRESS), ("wwwroot/index.html", "")], Some(Dotnet), ".", &[]),
    // What stands beside an app.
    ("tests, scripts and tools", &[("api/go.mod", GIN), ("api/main.go", GO_MAIN), ("scripts/requirements.txt", "requests"), ("scripts/main.py", ""), ("tools/gen/package.json", EXPRESS), ("e2e/package.json", EXPRESS)], Some(Go), "api", &[]),
    ("infrastructure by cdk", &[("app/requirements.txt", "flask"), ("app/app.py", FLASK), ("cdk/package.json", EXPRESS), ("infra/main.go", GO_MAIN)], Some(Python), "app", &[]),
    ("charts and pulumi", &[("src/package.json", EXPRESS), ("src/index.js", ""), ("helm/x/Chart.yaml", ""), ("pulumi/go.mod", "module p"), ("pulumi/main.go", GO_MAIN)], Some(Nodejs), "src", &[]),
    ("terraform only", &[("main.tf", ""), ("modules/a/main.tf", "")], None, ".", &[]),
    ("phones beside an api", &[("api/package.json", EXPRESS), ("api/index.js", ""), ("android/build.gradle", "com.android.application"), ("ios/Podfile", ""), ("mobile/pubspec.yaml", PHONE), ("mobile/ios/x", "")], Some(Nodejs), "api", &[]),
    ("a flutter app with its platforms beside an api", &[("app/pubspec.yaml", PHONE), ("app/web/index.html", ""), ("app/android/x", ""), ("app/ios/x", ""), ("backend/go.mod", GIN), ("backend/main.go", GO_MAIN)], Some(Go), "backend", &[]),
    ("a flutter app for the web beside an api", &[("app/pubspec.yaml", PHONE), ("app/web/index.html", ""), ("backend/go.mod", GIN), ("backend/main.go", GO_MAIN)], None, ".", &["app", "backend"]),
    ("react native beside an api", &[("mobile/package.json", PHONES), ("mobile/index.js", ""), ("api/package.json", EXPRESS), ("api/index.js", "")], Some(Nodejs), "api", &[]),
    ("an app of android beside an api", &[("client/app/build.gradle", "id 'com.android.application'"), ("client/build.gradle", ""), ("client/settings.gradle", ""), ("api/go.mod", GIN), ("api/main.go", GO_MAIN)], Some(Go), "api", &[]),
    ("a shell for desktops beside the front end", &[("package.json", VUE), ("src-tauri/Cargo.toml", CARGO), ("src-tauri/src/main.rs", ""), ("src-tauri/tauri.conf.json", "{}")], Some(Nodejs), ".", &[]),
    ("handlers of functions are no programs", &[("template.yaml", ""), ("src/requirements.txt", "boto3"), ("src/handlers/order.py", "def handler(e, c): pass")], None, ".", &[]),
    ("a site that documents a server", &[("server/go.mod", GIN), ("server/main.go", GO_MAIN), ("docs/package.json", DOCUSAURUS)], Some(Go), "server", &[]),
    ("notebooks", &[("requirements.txt", "pandas\njupyter"), ("notebooks/a.ipynb", "{}"), ("analysis.ipynb", "{}")], Some(Python), ".", &[]),
    // Libraries: pages that document them never win, servers of their own do.
    ("a rust library with pages", &[("Cargo.toml", CARGO_LIB), ("src/lib.rs", ""), ("docs/index.html", "")], Some(Rust), ".", &[]),
    ("a rust library with a book", &[("Cargo.toml", CARGO_LIB), ("src/lib.rs", ""), ("book.toml", "[book]\nsrc = \"guide\""), ("guide/SUMMARY.md", "")], Some(Rust), ".", &[]),
    ("a go library with a site of mkdocs", &[("go.mod", "module lib"), ("a.go", "package lib"), ("mkdocs.yml", ""), ("docs/index.md", "")], Some(Go), ".", &[]),
    ("a python library with a website", &[("pyproject.toml", "[project]\nname = \"lib\"\n[build-system]\n"), ("src/lib/__init__.py", ""), ("website/package.json", DOCUSAURUS)], Some(Python), ".", &[]),
    ("a go library with examples", &[("go.mod", "module lib"), ("a.go", "package lib"), ("examples/http/main.go", GO_MAIN), ("examples/http/go.mod", GIN)], Some(Go), ".", &[]),
    ("packages at the root, the server below", &[("requirements.txt", "pandas"), ("server/package.json", EXPRESS), ("server/index.js", "")], Some(Nodejs), "server", &[]),
    ("a program without a manifest belongs to the root's", &[("pyproject.toml", "[project]\nname = \"shop\"\n[build-system]\n"), ("pkg/worker/main.py", "")], Some(Python), ".", &[]),
    ("jekyll beside a library", &[("Cargo.toml", CARGO_LIB), ("src/lib.rs", ""), ("_config.yml", "theme: minima"), ("index.md", "")], Some(Rust), ".", &[]),
    // Sources of C and C++ as parts of others.
    ("a native part of node", &[("package.json", EXPRESS), ("index.js", ""), ("binding.gyp", "{}"), ("CMakeLists.txt", CMAKE_LIB), ("src/native.cc", "")], Some(Nodejs), ".", &[]),
    ("a native part of python", &[("setup.py", "ext_modules=[]"), ("pyproject.toml", "[project]\nname = \"x\"\n[build-system]\n"), ("CMakeLists.txt", CMAKE_LIB), ("src/x.cpp", "")], Some(Python), ".", &[]),
    ("make and scripts are no language", &[("go.mod", GIN), ("main.go", GO_MAIN), ("Makefile", "build:\n\tgo build -o app"), ("bridge.c", "int main() {}"), ("start.sh", "./app")], Some(Go), ".", &[]),
    ("a makefile alone", &[("Makefile", "all:\n\techo x"), ("README.md", "")], None, ".", &[]),
    ("a server of c++ with a front end", &[("CMakeLists.txt", CROW), ("main.cpp", "#include <crow.h>\nint main() {}"), ("web/package.json", VUE)], Some(Cpp), ".", &[".", "web"]),
    ("a server of c++ with tools of node", &[("CMakeLists.txt", CROW), ("main.cpp", "#include <crow.h>\nint main() {}"), ("package.json", TOOLS)], Some(Cpp), ".", &[]),
    ("c sources in a module of elixir", &[("mix.exs", "{:elixir_make, \"~> 0.7\"}"), ("Makefile", "TARGET = x"), ("c_src/x.c", "")], Some(Elixir), ".", &[]),
    // Scripts.
    ("a script and nothing else", &[("start.sh", "#!/bin/bash\necho x"), ("README.md", "")], Some(Shell), ".", &[]),
    ("a script that starts an app below", &[("start.sh", "cd app && npm start"), ("app/package.json", EXPRESS), ("app/index.js", "")], Some(Nodejs), "app", &[]),
    ("scripts in folders are no apps", &[("a/run.sh", ""), ("b/start.sh", "")], None, ".", &[]),
    // Many apps.
    ("services in several languages", &[("services/cart/go.mod", GIN), ("services/cart/main.go", GO_MAIN), ("services/mail/requirements.txt", "flask"), ("services/mail/app.py", FLASK), ("services/pay/pom.xml", SPRING), ("services/pay/src/main/java/A.java", ""), ("services/web/package.json", NEXT), ("kubernetes/x.yaml", "")], None, ".", &["services/cart", "services/mail", "services/pay", "services/web"]),
    ("apps and packages without a workspace", &[("apps/web/package.json", NEXT), ("apps/api/package.json", EXPRESS), ("apps/api/index.js", ""), ("packages/ui/package.json", r#"{"name": "ui", "main": "index.js"}"#)], None, ".", &["apps/api", "apps/web"]),
    ("a node workspace with an app in go", &[("package.json", r#"{"private": true, "workspaces": ["apps/web"]}"#), ("apps/web/package.json", NEXT), ("apps/api/go.mod", GIN), ("apps/api/main.go", GO_MAIN)], Some(Nodejs), ".", &["apps/api", "apps/web"]),
    ("nx with an app in python", &[("nx.json", "{}"), ("package.json", r#"{"private": true, "devDependencies": {"nx": "19"}}"#), ("apps/web/package.json", VUE), ("apps/api/pyproject.toml", "[project]\nname = \"api\"\ndependencies = [\"fastapi\"]"), ("apps/api/main.py", FASTAPI)], Some(Nodejs), ".", &["apps/api", "apps/web"]),
    ("a cargo workspace with a front end", &[("Cargo.toml", "[workspace]\nmembers = [\"server\", \"core\"]"), ("server/Cargo.toml", CARGO), ("server/src/main.rs", ""), ("core/Cargo.toml", CARGO_LIB), ("core/src/lib.rs", ""), ("web/package.json", VUE)], Some(Rust), ".", &["server", "web"]),
    ("bazel with services", &[("MODULE.bazel", ""), ("BUILD.bazel", ""), ("api/go.mod", GIN), ("api/main.go", GO_MAIN), ("web/package.json", NEXT)], None, ".", &["api", "web"]),
    ("exercises of pages", &[("day1/index.html", ""), ("day2/index.html", "")], None, ".", &["day1", "day2"]),
    ("deep", &[("src/main/services/api/package.json", EXPRESS), ("src/main/services/api/index.js", "")], Some(Nodejs), "src/main/services/api", &[]),
    // Sites.
    ("hugo with a theme by modules", &[("hugo.toml", "baseURL = 'x'"), ("go.mod", "module site"), ("go.sum", ""), ("content/_index.md", "")], Some(Static), ".", &[]),
    ("hugo with tools of node", &[("hugo.yaml", ""), ("content/a.md", ""), ("package.json", r#"{"devDependencies": {"postcss": "8"}, "scripts": {"build": "hugo --minify"}}"#)], Some(Static), ".", &[]),
    ("jekyll with a Gemfile is ruby's", &[("_config.yml", ""), ("_posts/a.md", ""), ("Gemfile", "gem 'jekyll'")], Some(Ruby), ".", &[]),
    ("mkdocs with a list of packages is python's", &[("mkdocs.yml", ""), ("docs/index.md", ""), ("requirements.txt", "mkdocs-material")], Some(Python), ".", &[]),
    ("a page with tools of node", &[("index.html", ""), ("package.json", TOOLS)], Some(Static), ".", &[]),
    // Nothing, and names that only look right.
    ("empty", &[], None, ".", &[]),
    ("documents only", &[("README.md", ""), ("docs/guide.md", ""), ("docs/img/x.png", "")], None, ".", &[]),
    ("a name in the wrong case is not what npm reads", &[("Package.json", EXPRESS), ("README.md", "")], None, ".", &[]),
    ("a package file that is no package of haskell", &[("package.yaml", "name: x\nversion: 1\n")], None, ".", &[]),
    ("a guix file is no program", &[("guix.scm", ""), ("go.mod", GIN), ("main.go", GO_MAIN)], Some(Go), ".", &[]),
    ("marks of byte order", &[("package.json", "\u{FEFF}{\"scripts\": {\"start\": \"node a.js\"}}"), ("a.js", "")], Some(Nodejs), ".", &[]),
    ("a mark of byte order in toml", &[("Cargo.toml", "\u{FEFF}[package]\nname = \"app\"\n"), ("src/main.rs", "")], Some(Rust), ".", &[]),
];
