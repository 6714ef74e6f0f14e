# Debian's Ruby under the names of Docker's images. rubygems.org may be out of reach: Bundler finds the gems that Debian
# packages in a folder of the image instead, as packed again by the script below.
ARG BASE
FROM debian:trixie-slim AS gems
RUN apt-get update && apt-get install -y --no-install-recommends ruby puma ruby-rackup ruby-sinatra
RUN <<'END' ruby
require "fileutils"
require "rubygems/package"
require "tmpdir"
FileUtils.mkdir_p %w[/gems/gems /gems/quick/Marshal.4.8]
# What is a part of Ruby itself need not be fetched.
specs = Gem::Specification.reject { |spec| spec.default_gem? || spec.name == "bundler" || !File.exist?(spec.full_gem_path) }
specs.each do |spec|
  Dir.mktmpdir do |folder|
    FileUtils.cp_r "#{spec.full_gem_path}/.", folder
    FileUtils.cp_r "#{spec.extension_dir}/.", "#{folder}/lib" unless spec.extensions.empty?
    Dir.chdir folder do
      spec.files, spec.extensions = Dir["**/*"].select { |path| File.file? path }, []
      FileUtils.mv Gem::Package.build(spec, true), "/gems/gems/"
    end
    File.binwrite "/gems/quick/Marshal.4.8/#{spec.full_name}.gemspec.rz", Zlib.deflate(Marshal.dump(spec))
  end
end
names = specs.map { |spec| [spec.name, spec.version, "ruby"] }
{ "specs" => names, "latest_specs" => names, "prerelease_specs" => [] }.each do |file, list|
  File.binwrite "/gems/#{file}.4.8.gz", Gem::Util.gzip(Marshal.dump(list))
end
END

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends bzip2 ca-certificates libffi-dev libgmp-dev libssl-dev libyaml-dev procps ruby ruby-bundler \
    ruby-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
COPY --from=gems /gems /usr/local/share/gems
ENV BUNDLE_USER_CONFIG=/usr/local/etc/bundle-config
RUN bundle config set --global mirror.https://rubygems.org file:///usr/local/share/gems
CMD ["irb"]
