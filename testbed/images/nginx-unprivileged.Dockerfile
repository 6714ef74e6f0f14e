# Debian's nginx, set up as nginxinc/nginx-unprivileged: user 101, port 8080, files from /usr/share/nginx/html.
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends nginx && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 101 nginx && useradd --uid 101 --gid nginx --no-create-home nginx \
 && rm -f /etc/nginx/sites-enabled/* /etc/nginx/modules-enabled/* \
 && ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log \
 && sed -i -e '/^user /d' -e 's|^pid .*|pid /tmp/nginx.pid;|' /etc/nginx/nginx.conf \
 && printf 'client_body_temp_path /tmp/client;\nproxy_temp_path /tmp/proxy;\nfastcgi_temp_path /tmp/fastcgi;\nuwsgi_temp_path /tmp/uwsgi;\nscgi_temp_path /tmp/scgi;\n' > /etc/nginx/conf.d/00-temporary.conf \
 && printf 'server {\n    listen 8080;\n    root /usr/share/nginx/html;\n    index index.html;\n}\n' > /etc/nginx/conf.d/default.conf \
 && mkdir -p /usr/share/nginx/html && rm -rf /usr/share/nginx/html/* && echo 'Welcome to nginx!' > /usr/share/nginx/html/index.html
EXPOSE 8080
USER 101
CMD ["nginx", "-g", "daemon off;"]
