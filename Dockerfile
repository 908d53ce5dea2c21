# The dashboard for a team; docs/deployment.md says what belongs around it.
FROM python:3.12.11-slim-bookworm

RUN useradd --uid 10001 --create-home espalier && install -d -o espalier /data
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE app.py ./
COPY .streamlit/config.toml .streamlit/
COPY compression compression
COPY pages pages
COPY sample_models sample_models
# In place, since the pages are no part of the package.
RUN pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -e '.[postgres,team]'

USER espalier
ENV ESPALIER_DATA=/data
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-m", "compression.studies.health"]
ENTRYPOINT ["espalier", "serve", "--address", "0.0.0.0"]
CMD ["--team", "--allow", "/etc/espalier/team.txt"]
