FROM python:3.11-slim AS server
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/payconfirm
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
RUN useradd --system payconfirm
USER payconfirm

# The sandbox gateway: for trying it out, never for a shop.
FROM server AS sandbox
USER root
RUN pip install --no-cache-dir --require-hashes -r requirements-dev.txt
USER payconfirm

# What is built without --target.
FROM server
