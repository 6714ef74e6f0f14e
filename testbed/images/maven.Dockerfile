# Maven as Maven Central has it, on a JDK. Debian's own, which is older, fetches it.
ARG JAVA
FROM eclipse-temurin:${JAVA} AS fetch
RUN apt-get update && apt-get install -y --no-install-recommends maven
RUN mvn --batch-mode --quiet dependency:copy -Dartifact=org.apache.maven:apache-maven:3.9.16:tar.gz:bin -DoutputDirectory=/fetched \
 && mkdir /maven && tar --extract --file /fetched/*.tar.gz --directory /maven --strip-components=1

FROM eclipse-temurin:${JAVA}
COPY --from=fetch /maven /usr/share/maven
ENV MAVEN_HOME=/usr/share/maven
RUN ln -s /usr/share/maven/bin/mvn /usr/bin/mvn && mvn --version
CMD ["mvn"]
