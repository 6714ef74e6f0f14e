# Debian's PHP and Apache, set up as Docker's image of PHP: `apache2-foreground`, logs on the standard streams, and variables
# of the environment that win over Apache's own.
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends apache2 libapache2-mod-php php-cli php-curl php-mbstring php-xml \
 && rm -rf /var/lib/apt/lists/* /var/www/html/* \
 && sed -ri 's/^export ([^=]+)=(.*)$/: ${\1:=\2}\nexport \1/' /etc/apache2/envvars \
 && ln -sf /dev/stderr /var/log/apache2/error.log && ln -sf /dev/stdout /var/log/apache2/access.log \
 && ln -sf /dev/stdout /var/log/apache2/other_vhosts_access.log \
 && mkdir -p /var/run/apache2 /var/lock/apache2 && chmod 1777 /var/run/apache2 /var/lock/apache2 /var/log/apache2 \
 && printf '#!/bin/sh\nset -e\n. /etc/apache2/envvars\nrm -f "$APACHE_PID_FILE"\nexec apache2 -DFOREGROUND "$@"\n' > /usr/local/bin/apache2-foreground \
 && chmod 0755 /usr/local/bin/apache2-foreground
STOPSIGNAL SIGWINCH
WORKDIR /var/www/html
EXPOSE 80
CMD ["apache2-foreground"]
