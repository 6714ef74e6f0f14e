# Debian's PHP and Apache, set up as Docker's image of PHP: `apache2-foreground` makes the folders that the environment names,
# variables of the environment win over Apache's own, logs go to the standard streams, settings are read from
# /usr/local/etc/php/conf.d, and `docker-php-ext-install` brings extensions (Debian's, ready-made).
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends apache2 libapache2-mod-php php-cli php-curl php-mbstring php-xml \
 && rm -rf /var/lib/apt/lists/* /var/www/html/* \
 && sed -ri 's/^export ([^=]+)=(.*)$/: ${\1:=\2}\nexport \1/' /etc/apache2/envvars \
 && ln -sf /dev/stderr /var/log/apache2/error.log && ln -sf /dev/stdout /var/log/apache2/access.log \
 && ln -sf /dev/stdout /var/log/apache2/other_vhosts_access.log \
 && mkdir -p /var/run/apache2 /var/lock/apache2 /usr/local/etc/php/conf.d \
 && chmod 1777 /var/run/apache2 /var/lock/apache2 /var/log/apache2 \
 && printf '#!/bin/sh\nset -e\n. /etc/apache2/envvars\nmkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR" "$APACHE_LOG_DIR"\nrm -f "$APACHE_PID_FILE"\nexec apache2 -DFOREGROUND "$@"\n' > /usr/local/bin/apache2-foreground \
 && printf '#!/bin/sh\nset -e\nfor name in "$@"; do\n  php -m | grep -qi "$name" || { apt-get update && apt-get install -y --no-install-recommends "php-$name"; }\ndone\n' > /usr/local/bin/docker-php-ext-install \
 && chmod 0755 /usr/local/bin/apache2-foreground /usr/local/bin/docker-php-ext-install
ENV PHP_INI_SCAN_DIR=:/usr/local/etc/php/conf.d
STOPSIGNAL SIGWINCH
WORKDIR /var/www/html
EXPOSE 80
CMD ["apache2-foreground"]
