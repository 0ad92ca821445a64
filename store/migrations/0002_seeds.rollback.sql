DROP TABLE pms_subdomains;
