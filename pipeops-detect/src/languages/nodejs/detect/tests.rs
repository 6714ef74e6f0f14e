use super::detect;
use crate::languages::layouts::{self, check, found};

// One line per layout.
#[rustfmt::skip]
const ROLES: &[layouts::Layout] = &[
    // What only accompanies another language counts little.
    (&[("package.json", r#"{"devDependencies": {"prettier": "3"}}"#)], &["role Tools"]),
    (&[("package.json", r#"{"devDependencies": {"vite": "5"}, "scripts": {"build": "vite build"}}"#)], &["role Frontend"]),
    (&[("package.json", r#"{"dependencies": {"react": "18", "react-scripts": "5"}, "scripts": {"start": "react-scripts start"}}"#)], &["role Frontend"]),
    (&[("package.json", r#"{"dependencies": {"lodash": "4"}}"#)], &["role Library"]),
    (&[("package.json", r#"{"dependencies": {"express": "4"}}"#)], &["role Server"]),
    (&[("package.json", r#"{"devDependencies": {"express": "4"}, "dependencies": {"a": "1"}}"#)], &["role Server"]),
    (&[("package.json", r#"{"scripts": {"start": "node x.js"}}"#)], &["role Server"]),
    (&[("package.json", r#"{"scripts": {"start": "python app.py"}, "devDependencies": {"prettier": "3"}}"#)], &["role Tools"]),
    (&[("package.json", r#"{"scripts": {"build": "tailwindcss -i a -o b", "start": "tailwindcss -w"}, "devDependencies": {"tailwindcss": "3"}}"#)], &["role Tools"]),
    (&[("package.yaml", "name: x\ndependencies:\n- base >= 4.7\nexecutables:\n  x:\n    main: Main.hs\n"), ("stack.yaml", "")], &["found false"]),
    // The program is found.
    (&[("package.json", r#"{"scripts": {"start": "node x"}}"#)], &["start npm run start"]),
    (&[("package.json", r#"{"main": "./src/a.js"}"#), ("src/a.js", ""), ("index.js", "")], &["start node src/a.js"]),
    (&[("package.json", "{}"), SERVER], &["start node server.js"]),
    (&[SERVER, ("x.html", "")], &["start node server.js"]),
    (&[("index.js", "document.title")], &["start"]),
    (&[("package.json", r#"{"dependencies": {"next": "15"}}"#)], &["start next start"]),
    (&[("index.js", "require('http').createServer().listen(3000)")], &["port 3000"]),
];

const SERVER: (&str, &str) = ("server.js", "http.createServer(f).listen(process.env.PORT)");

#[test]
fn roles_and_programs() {
    check(detect, ROLES);
}

/// Why the layout is there, its files, and what is found: framework, start, output, port.
type Layout = (
    &'static str,
    &'static [(&'static str, &'static str)],
    [&'static str; 3],
    Option<u16>,
);

// One line per layout.
#[rustfmt::skip]
const LAYOUTS: &[Layout] = &[
    // Pages.
    ("next", &[("package.json", r#"{"scripts": {"dev": "next dev", "build": "next build", "start": "next start"}, "dependencies": {"next": "15"}}"#)], ["next", "npm run start", ""], Some(8080)),
    ("next with its own port", &[("package.json", r#"{"scripts": {"build": "next build", "start": "next start -p 3000"}, "dependencies": {"next": "15"}}"#)], ["next", "npm run start", ""], Some(3000)),
    ("next takes the port of the platform", &[("package.json", r#"{"scripts": {"start": "next start -p ${PORT:-3000}"}, "dependencies": {"next": "15"}}"#)], ["next", "npm run start", ""], Some(8080)),
    ("next exports files", &[("package.json", r#"{"scripts": {"build": "next build", "start": "next start"}, "dependencies": {"next": "15"}}"#), ("next.config.mjs", "export default { output: 'export' }")], ["next", "", "out"], Some(8080)),
    ("next exported by its old command", &[("package.json", r#"{"scripts": {"build": "next build && next export"}, "dependencies": {"next": "12"}}"#)], ["next", "", "out"], Some(8080)),
    ("next with a server of one's own", &[("package.json", r#"{"scripts": {"build": "next build", "start": "NODE_ENV=production node server.js"}, "dependencies": {"next": "15", "express": "4"}}"#), ("server.js", "const port = 3000\nexpress().listen(port)")], ["next", "npm run start", ""], Some(3000)),
    ("next standalone without a script", &[("package.json", r#"{"scripts": {"build": "next build"}, "dependencies": {"next": "15"}}"#), ("next.config.ts", "export default { output: \"standalone\" }")], ["next", "node .next/standalone/server.js", ""], Some(8080)),
    ("next only for developers", &[("package.json", r#"{"scripts": {"start": "next dev", "build": "next build"}, "dependencies": {"next": "15"}}"#)], ["next", "next start", ""], Some(8080)),
    ("nuxt", &[("package.json", r#"{"scripts": {"build": "nuxt build", "dev": "nuxt dev", "generate": "nuxt generate", "preview": "nuxt preview"}, "dependencies": {"nuxt": "^3.13"}}"#)], ["nuxt", "node .output/server/index.mjs", ""], Some(8080)),
    ("nuxt generates files", &[("package.json", r#"{"scripts": {"build": "nuxt generate"}, "dependencies": {"nuxt": "^3"}}"#)], ["nuxt", "", ".output/public"], Some(8080)),
    ("nuxt 2", &[("package.json", r#"{"scripts": {"build": "nuxt build", "start": "nuxt start"}, "dependencies": {"nuxt": "^2.17"}}"#)], ["nuxt", "npm run start", ""], Some(8080)),
    ("remix", &[("package.json", r#"{"scripts": {"build": "remix vite:build", "start": "remix-serve ./build/server/index.js"}, "dependencies": {"@remix-run/serve": "2"}}"#), ("vite.config.ts", "remix()")], ["remix", "npm run start", ""], Some(8080)),
    ("react-router without a server", &[("package.json", r#"{"scripts": {"build": "react-router build"}, "devDependencies": {"@react-router/dev": "7"}}"#), ("react-router.config.ts", "export default { ssr: false } satisfies Config")], ["react-router", "", "build/client"], Some(8080)),
    ("react-router with a server", &[("package.json", r#"{"scripts": {"build": "react-router build"}, "dependencies": {"@react-router/serve": "7"}, "devDependencies": {"@react-router/dev": "7"}}"#), ("react-router.config.ts", "export default { ssr: true }")], ["react-router", "react-router-serve ./build/server/index.js", ""], Some(8080)),
    ("react-router as a library", &[("package.json", r#"{"scripts": {"build": "vite build"}, "dependencies": {"react-router": "7"}, "devDependencies": {"vite": "6"}}"#), ("index.html", "")], ["vite", "", "dist"], Some(8080)),
    ("astro", &[("package.json", r#"{"scripts": {"start": "astro dev", "build": "astro build"}, "dependencies": {"astro": "5"}}"#), ("astro.config.mjs", "export default defineConfig({ outDir: './public_html' })")], ["astro", "", "public_html"], Some(8080)),
    ("astro with a server", &[("package.json", r#"{"scripts": {"build": "astro build"}, "dependencies": {"astro": "5", "@astrojs/node": "9"}}"#), ("astro.config.mjs", "import node from '@astrojs/node'")], ["astro", "node ./dist/server/entry.mjs", ""], Some(8080)),
    ("astro for another platform", &[("package.json", r#"{"scripts": {"build": "astro build"}, "dependencies": {"astro": "5"}}"#), ("astro.config.mjs", "import x from '@astrojs/vercel'; export default { output: 'server' }")], ["astro", "", ""], None),
    ("sveltekit with a server", &[("package.json", r#"{"scripts": {"build": "vite build"}, "devDependencies": {"@sveltejs/kit": "2", "vite": "6"}}"#), ("svelte.config.js", "import adapter from '@sveltejs/adapter-node'")], ["sveltekit", "node build", ""], Some(8080)),
    ("sveltekit as files", &[("package.json", r#"{"scripts": {"build": "vite build"}, "devDependencies": {"@sveltejs/kit": "2", "vite": "6"}}"#), ("svelte.config.js", "import adapter from '@sveltejs/adapter-static'; adapter({ pages: 'out' })")], ["sveltekit", "", "out"], Some(8080)),
    ("sveltekit for another platform", &[("package.json", r#"{"scripts": {"build": "vite build"}, "devDependencies": {"@sveltejs/kit": "2"}}"#), ("svelte.config.js", "import adapter from '@sveltejs/adapter-vercel'")], ["sveltekit", "", ""], None),
    ("solid-start", &[("package.json", r#"{"scripts": {"dev": "vinxi dev", "build": "vinxi build", "start": "vinxi start"}, "dependencies": {"@solidjs/start": "1"}}"#)], ["solid-start", "npm run start", ""], Some(8080)),
    ("gatsby", &[("package.json", r#"{"scripts": {"start": "gatsby develop", "build": "gatsby build", "serve": "gatsby serve"}, "dependencies": {"gatsby": "5"}}"#)], ["gatsby", "", "public"], Some(8080)),
    ("a phone app", &[("package.json", r#"{"scripts": {"start": "expo start"}, "dependencies": {"expo": "52"}}"#)], ["expo", "", ""], None),
    // Builders.
    ("vite into a folder of its own", &[("package.json", r#"{"scripts": {"build": "tsc -b && vite build", "preview": "vite preview"}, "devDependencies": {"vite": "6"}}"#), ("index.html", ""), ("vite.config.ts", "export default { build: { outDir: 'www' } }")], ["vite", "", "www"], Some(8080)),
    ("vite below a folder", &[("package.json", r#"{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}"#), ("vite.config.ts", "export default { root: './client', build: { outDir: '../dist/public' } }")], ["vite", "", "dist/public"], Some(8080)),
    ("vite preview is no server", &[("package.json", r#"{"scripts": {"build": "vite build", "start": "vite preview --port 4173"}, "devDependencies": {"vite": "6"}}"#), ("index.html", "")], ["vite", "", "dist"], Some(8080)),
    ("express serves what vite builds", &[("package.json", r#"{"scripts": {"build": "vite build && esbuild server/index.ts --outdir=dist", "start": "NODE_ENV=production node dist/index.js"}, "dependencies": {"express": "4"}, "devDependencies": {"vite": "6"}}"#), ("server/index.ts", "server.listen({ port: 5000, host: '0.0.0.0' })"), ("client/index.html", "")], ["express", "npm run start", ""], Some(5000)),
    ("vite only for tests", &[("package.json", r#"{"main": "dist/index.js", "types": "dist/index.d.ts", "scripts": {"build": "tsup", "test": "vitest"}, "devDependencies": {"vite": "6"}}"#), ("src/index.ts", "")], ["", "", ""], None),
    ("create-react-app with a server of files", &[("package.json", r#"{"scripts": {"build": "react-scripts build", "start": "serve -s build -l 3000"}, "dependencies": {"react-scripts": "5", "serve": "14"}}"#)], ["create-react-app", "", "build"], Some(8080)),
    ("craco", &[("package.json", r#"{"scripts": {"build": "craco build", "start": "craco start"}, "dependencies": {"react-scripts": "5", "@craco/craco": "7"}}"#)], ["create-react-app", "", "build"], Some(8080)),
    ("angular, new", &[("package.json", r#"{"scripts": {"start": "ng serve", "build": "ng build"}, "dependencies": {"@angular/core": "18"}}"#), ("angular.json", r#"{"projects": {"shop": {"projectType": "application", "architect": {"build": {"builder": "@angular-devkit/build-angular:application", "options": {"outputPath": "dist/shop"}}}}}}"#)], ["angular", "", "dist/shop/browser"], Some(8080)),
    ("angular, old", &[("package.json", r#"{"scripts": {"build": "ng build"}, "dependencies": {"@angular/core": "14"}}"#), ("angular.json", r#"{"defaultProject": "shop", "projects": {"lib": {"projectType": "library"}, "shop": {"architect": {"build": {"builder": "@angular-devkit/build-angular:browser", "options": {"outputPath": "dist/shop"}}}}}}"#)], ["angular", "", "dist/shop"], Some(8080)),
    ("angular with a server", &[("package.json", r#"{"scripts": {"start": "ng serve", "build": "ng build", "serve:ssr:shop": "node dist/shop/server/server.mjs"}, "dependencies": {"@angular/core": "18", "@angular/ssr": "18", "express": "4"}}"#), ("angular.json", r#"{"projects": {"shop": {"architect": {"build": {"builder": "@angular/build:application", "options": {"ssr": {"entry": "server.ts"}}}}}}}"#), ("server.ts", "const port = process.env['PORT'] || 4000; server.listen(port)")], ["angular", "npm run serve:ssr:shop", ""], Some(8080)),
    ("vue-cli", &[("package.json", r#"{"scripts": {"serve": "vue-cli-service serve", "build": "vue-cli-service build"}, "devDependencies": {"@vue/cli-service": "5"}}"#), ("vue.config.js", "module.exports = { outputDir: 'public' }")], ["vue-cli", "", "public"], Some(8080)),
    ("docusaurus", &[("package.json", r#"{"scripts": {"start": "docusaurus start", "build": "docusaurus build", "serve": "docusaurus serve"}, "dependencies": {"@docusaurus/core": "3"}}"#)], ["docusaurus", "", "build"], Some(8080)),
    ("vitepress in a folder", &[("package.json", r#"{"scripts": {"docs:dev": "vitepress dev docs", "docs:build": "vitepress build docs"}, "devDependencies": {"vitepress": "1"}}"#)], ["vitepress", "", "docs/.vitepress/dist"], Some(8080)),
    ("eleventy", &[("package.json", r#"{"scripts": {"start": "eleventy --serve", "build": "eleventy"}, "devDependencies": {"@11ty/eleventy": "3"}}"#), (".eleventy.js", "module.exports = () => ({ dir: { input: 'src', output: 'public' } })")], ["eleventy", "", "public"], Some(8080)),
    // Servers.
    ("express", &[("package.json", r#"{"scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}}"#), ("server.js", "app.listen(process.env.PORT || 3000)")], ["express", "npm run start", ""], Some(8080)),
    ("express by its generator", &[("package.json", r#"{"scripts": {"start": "node ./bin/www"}, "dependencies": {"express": "4"}}"#), ("bin/www", "var port = normalizePort(process.env.PORT || '3000'); server.listen(port)"), ("app.js", "")], ["express", "npm run start", ""], Some(8080)),
    ("express in another file", &[("package.json", r#"{"scripts": {"start": "node index.js"}, "dependencies": {"express": "4"}}"#), ("index.js", "require('./src/app')"), ("src/app.js", "app.listen(4000)")], ["express", "npm run start", ""], Some(4000)),
    ("nodemon in start", &[("package.json", r#"{"scripts": {"start": "nodemon app.js"}, "dependencies": {"express": "4", "nodemon": "3"}}"#), ("app.js", "app.listen(5000)")], ["express", "node app.js", ""], Some(5000)),
    ("no script, compiled", &[("package.json", r#"{"main": "dist/server.js", "scripts": {"build": "tsc", "dev": "ts-node src/server.ts"}, "dependencies": {"fastify": "5"}}"#), ("src/server.ts", "app.listen({ port: Number(process.env.PORT) })")], ["fastify", "node dist/server.js", ""], Some(8080)),
    ("no script, compiled by its settings", &[("package.json", r#"{"scripts": {"build": "tsc -p tsconfig.json"}, "dependencies": {"koa": "2"}}"#), ("tsconfig.json", "{\n// x\n\"compilerOptions\": {\"outDir\": \"./build\", \"rootDir\": \"./src\"},\n}"), ("src/index.ts", "app.listen(3000)")], ["koa", "node build/index.js", ""], Some(3000)),
    ("start builds first", &[("package.json", r#"{"scripts": {"start": "tsc && node dist/index.js"}, "dependencies": {"express": "4"}, "devDependencies": {"typescript": "5"}}"#), ("src/index.ts", "app.listen(process.env.PORT)")], ["express", "node dist/index.js", ""], Some(8080)),
    ("migrations belong to the start", &[("package.json", r#"{"scripts": {"build": "tsc", "start": "prisma migrate deploy && node dist/index.js"}, "dependencies": {"express": "4"}}"#), ("src/index.ts", "app.listen(process.env.PORT)")], ["express", "npm run start", ""], Some(8080)),
    ("nest", &[("package.json", r#"{"scripts": {"build": "nest build", "start": "nest start", "start:dev": "nest start --watch", "start:prod": "node dist/main"}, "dependencies": {"@nestjs/core": "10", "@nestjs/platform-express": "10", "express": "4"}}"#), ("src/main.ts", "await app.listen(process.env.PORT ?? 3000);")], ["nest", "npm run start:prod", ""], Some(8080)),
    ("nest with a fixed port", &[("package.json", r#"{"scripts": {"build": "nest build", "start": "nest start"}, "dependencies": {"@nestjs/core": "10"}}"#), ("src/main.ts", "await app.listen(3000);")], ["nest", "node dist/main.js", ""], Some(3000)),
    ("strapi", &[("package.json", r#"{"scripts": {"develop": "strapi develop", "start": "strapi start", "build": "strapi build"}, "dependencies": {"@strapi/strapi": "5"}}"#), ("config/server.ts", "export default ({ env }) => ({ port: env.int('PORT', 1337) })")], ["strapi", "npm run start", ""], Some(8080)),
    ("adonis", &[("package.json", r#"{"scripts": {"start": "node bin/server.js", "build": "node ace build", "dev": "node ace serve --hmr"}, "dependencies": {"@adonisjs/core": "6"}}"#), ("bin/server.ts", ""), ("ace.js", "")], ["adonis", "node build/bin/server.js", ""], Some(8080)),
    ("bun", &[("package.json", r#"{"module": "index.ts", "devDependencies": {"@types/bun": "latest"}}"#), ("index.ts", "Bun.serve({ fetch })"), ("bun.lock", "")], ["", "bun run index.ts", ""], Some(8080)),
    ("elysia", &[("package.json", r#"{"module": "src/index.js", "scripts": {"dev": "bun run --watch src/index.ts"}, "dependencies": {"elysia": "1"}}"#), ("src/index.ts", "new Elysia().listen(3000)"), ("bun.lockb", "")], ["elysia", "bun run src/index.ts", ""], Some(3000)),
    ("hono on node", &[("package.json", r#"{"scripts": {"dev": "tsx watch src/index.ts", "build": "tsc", "start": "node dist/index.js"}, "dependencies": {"hono": "4", "@hono/node-server": "1"}}"#), ("src/index.ts", "serve({ fetch: app.fetch, port: 3000 })")], ["hono", "npm run start", ""], Some(3000)),
    ("what developers run", &[("package.json", r#"{"scripts": {"dev": "tsx watch src/main.ts"}, "dependencies": {"express": "5"}, "devDependencies": {"tsx": "4"}}"#), ("src/main.ts", "app.listen(process.env.PORT)")], ["express", "npx tsx src/main.ts", ""], Some(8080)),
    ("a bot", &[("package.json", r#"{"main": "index.js", "dependencies": {"discord.js": "14"}}"#), ("index.js", "client.login(process.env.TOKEN)")], ["discord.js", "node index.js", ""], None),
    ("a bot with a server", &[("package.json", r#"{"scripts": {"start": "node bot.js"}, "dependencies": {"telegraf": "4", "express": "4"}}"#), ("bot.js", "app.listen(process.env.PORT)")], ["express", "npm run start", ""], Some(8080)),
    ("a worker", &[("package.json", r#"{"scripts": {"start": "node worker.js"}, "dependencies": {"bullmq": "5", "ioredis": "5"}}"#), ("worker.js", "new Worker('q', f, { connection: { port: 6379 } })")], ["", "npm run start", ""], None),
    ("a server without a framework", &[("package.json", r#"{"scripts": {"start": "node src/server"}}"#), ("src/server.js", "http.createServer(f).listen(process.env.PORT)")], ["", "npm run start", ""], Some(8080)),
    ("the port in the script", &[("package.json", r#"{"scripts": {"start": "cross-env PORT=4500 node a.js"}, "dependencies": {"express": "4"}}"#), ("a.js", "app.listen(process.env.PORT)")], ["express", "npm run start", ""], Some(4500)),
    ("a program for desktops", &[("package.json", r#"{"main": "main.js", "scripts": {"start": "electron ."}, "devDependencies": {"electron": "33"}}"#), ("main.js", "")], ["", "", ""], None),
    ("a command", &[("package.json", r#"{"bin": {"x": "./bin/x.js"}, "dependencies": {"commander": "12"}}"#), ("bin/x.js", "")], ["", "node bin/x.js", ""], None),
    ("meteor", &[("package.json", r#"{"scripts": {"start": "meteor run"}, "dependencies": {"react": "18"}, "meteor": {"mainModule": {}}}"#)], ["meteor", "", ""], None),
    ("a worker for another platform", &[("package.json", r#"{"scripts": {"start": "wrangler dev"}, "dependencies": {"hono": "4"}}"#), ("src/index.ts", "export default app")], ["hono", "", ""], None),
    ("a library", &[("package.json", r#"{"main": "index.js", "exports": "./index.js", "dependencies": {"lodash": "4"}}"#), ("index.js", "")], ["", "", ""], None),
    ("json with comments", &[("package.json", "{\n// x\n\"scripts\": {\"start\": \"node a.js\"},\n}"), ("a.js", "require('http').createServer().listen(80)")], ["", "npm run start", ""], Some(80)),
    ("json5 of pnpm", &[("package.json5", "{scripts: {start: 'node a.js'}}"), ("a.js", "x.listen(process.env.PORT)")], ["", "pnpm run start", ""], Some(8080)),
    ("yaml of pnpm", &[("package.yaml", "scripts:\n  start: node a.js\n"), ("a.js", "x.listen(process.env.PORT)")], ["", "pnpm run start", ""], Some(8080)),
    ("no json at all", &[("package.json", "<<<<<<< HEAD"), ("index.js", "require('http').createServer().listen(3000)")], ["", "node index.js", ""], Some(3000)),
    ("typescript without a package", &[("server.ts", "import http from 'node:http'\nhttp.createServer().listen(3000)")], ["", "node server.ts", ""], Some(3000)),
    ("bun without a package", &[("index.ts", "Bun.serve({ port: 3001, fetch })")], ["", "bun run index.ts", ""], Some(3001)),
];

#[test]
fn layouts_are_started_as_their_developers_would() {
    let mut wrong = Vec::new();
    for &(reason, files, [framework, start, output], port) in LAYOUTS {
        let found = found(detect, files);
        let texts = [&found.framework, &found.start(), &found.output];
        let texts = texts.map(|text| text.as_deref().unwrap_or_default());
        if (texts, found.port) != ([framework, start, output], port) {
            wrong.push(format!("{reason}: {texts:?} {:?}", found.port));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
