FROM python:3.12-slim

WORKDIR /app
COPY requirements.txt requirements-server.txt ./
RUN pip install --no-cache-dir -r requirements.txt -r requirements-server.txt
COPY . .

# What the app writes lies in these two, and nowhere else.
RUN useradd --create-home --uid 1000 seekpoint \
    && mkdir /data /media \
    && chown seekpoint:seekpoint /data /media
USER seekpoint

# In a container "this machine only" would be nobody: who gets in is up to the proxy before it.
ENV SEEKPOINT_DATA_DIR=/data \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8501
EXPOSE 8501

CMD ["streamlit", "run", "app.py"]
