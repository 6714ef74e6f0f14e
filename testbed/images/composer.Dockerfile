# Debian's Composer. packagist.org may be out of reach: Composer finds a few packages of Debian's in a folder of the image
# instead, packed as it wants them.
FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends composer git php-curl php-mbstring php-monolog php-psr-log php-xml php-zip unzip zip \
 && rm -rf /var/lib/apt/lists/*
RUN <<'END' bash -e
mkdir /usr/local/share/composer
pack() { # NAME DEBIAN-PACKAGE FOLDER REQUIREMENTS: the classes that Debian keeps in FOLDER
    version=$(dpkg-query --show --showformat='${source:Upstream-Version}' "$2")
    folder=$(mktemp -d) namespace=${3//\//\\\\}
    mkdir "$folder/src" && cp -r "/usr/share/php/$3/." "$folder/src"
    printf '{"name": "%s", "version": "%s", "require": {%s}, "autoload": {"psr-4": {"%s": "src/"}}}' \
        "$1" "$version" "$4" "$namespace\\\\" > "$folder/composer.json"
    (cd "$folder" && zip --quiet --recurse-paths "/usr/local/share/composer/${1//\//-}-$version.zip" .)
}
pack psr/log php-psr-log Psr/Log ''
pack monolog/monolog php-monolog Monolog '"psr/log": "^2.0 || ^3.0"'
END
ENV COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_HOME=/tmp
RUN printf '{"repositories": [{"type": "artifact", "url": "/usr/local/share/composer"}, {"packagist.org": false}]}' > /tmp/config.json \
 && composer --version
WORKDIR /app
CMD ["composer"]
