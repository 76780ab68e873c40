// The live point cloud: one point for each pixel of the depth map, placed on the GPU.

import * as THREE from "./vendor/three.module.min.js";
import { OrbitControls } from "./vendor/OrbitControls.js";
import { nearness } from "./packets.js";

const RELATIVE_DEPTH_RATIO = 4; // ratio of farthest to nearest distance when relative depth is drawn
const DEFAULT_FOV = 60; // horizontal field of view in degrees of an unknown camera
const MAX_DEPTH_JUMP = 0.15; // relative; a pixel between a near and a far surface that differ by more is a flying pixel

const VERTEX = `
uniform sampler2D depth;
uniform vec4 camera;
uniform vec2 size;
uniform float half_height; // half the height of the canvas in px
out vec2 image_uv;
float depth_at(vec2 image_uv) { return texture(depth, clamp(image_uv, 0.5 / size, 1.0 - 0.5 / size)).r; }
void main() {
  image_uv = position.xy;
  float z = depth_at(image_uv);
  vec2 dx = vec2(1.0 / size.x, 0.0), dy = vec2(0.0, 1.0 / size.y);
  float a = depth_at(image_uv + dx), b = depth_at(image_uv - dx), c = depth_at(image_uv + dy), d = depth_at(image_uv - dy);
  float nearest = min(min(a, b), min(c, d)), farthest = max(max(a, b), max(c, d));
  bool is_flying = farthest > nearest * ${(1 + MAX_DEPTH_JUMP).toFixed(2)} && nearest > 0.0;
  vec3 point = vec3((image_uv - camera.zw) / camera.xy, 1.0) * z;
  vec4 seen = modelViewMatrix * vec4(point.x, -point.y, -point.z, 1.0);
  gl_Position = z > 0.0 && !is_flying ? projectionMatrix * seen : vec4(2.0, 2.0, 2.0, 1.0);
  // as large as the gap to the next point, along the slope too
  float flat_gap = z / (camera.x * size.x);
  float gap = min(length(vec2(flat_gap, 0.5 * max(abs(a - b), abs(c - d)))), 2.5 * flat_gap);
  gl_PointSize = max(1.0, 1.3 * half_height * projectionMatrix[1][1] * gap / max(-seen.z, 0.001));
}`;

const FRAGMENT = `
uniform sampler2D picture;
in vec2 image_uv;
out vec4 color;
void main() { color = vec4(texture(picture, image_uv).rgb, 1.0); }`;

export class PointView {
  constructor(canvas) {
    this.canvas = canvas;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true, powerPreference: "low-power" });
    this.renderer.outputColorSpace = THREE.LinearSRGBColorSpace; // pictures are shown as they are
    this.scene = new THREE.Scene();
    this.scene.background = new THREE.Color(0x08090a);
    this.eye = new THREE.PerspectiveCamera(50, 1, 0.01, 1000);
    this.orbit = new OrbitControls(this.eye, canvas);
    this.orbit.listenToKeyEvents(canvas);
    this.orbit.addEventListener("change", () => this.render());
    this.points = null;
    this.isEyePlaced = false;
    this.session = null; // of a headset, while it shows the points
    new ResizeObserver(() => this.render()).observe(canvas);
  }

  draw(result) {
    if (!this.points || this.columns !== result.columns || this.rows !== result.rows) this.buildPoints(result);
    const { uniforms } = this.points.material;
    this.fillDepth(result);
    uniforms.picture.value.dispose();
    uniforms.picture.value = prepareTexture(new THREE.Texture(result.picture));
    uniforms.picture.value.flipY = false;
    uniforms.camera.value.set(...(result.header.camera ?? defaultIntrinsics(result.header)));
    if (!this.isEyePlaced) this.placeEye();
    this.render();
  }

  buildPoints(result) {
    this.points?.geometry.dispose();
    this.points?.material.uniforms.depth.value.dispose();
    if (this.points) this.scene.remove(this.points);
    const { columns, rows } = result;
    const places = new Float32Array(3 * columns * rows);
    for (let y = 0, i = 0; y < rows; y++)
      for (let x = 0; x < columns; x++, i += 3) places.set([(x + 0.5) / columns, (y + 0.5) / rows, 0], i);
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(places, 3));
    this.values = new Float32Array(columns * rows);
    const depth = new THREE.DataTexture(this.values, columns, rows, THREE.RedFormat, THREE.FloatType);
    const material = new THREE.ShaderMaterial({
      glslVersion: THREE.GLSL3, vertexShader: VERTEX, fragmentShader: FRAGMENT,
      uniforms: {
        depth: { value: depth }, picture: { value: new THREE.Texture() }, camera: { value: new THREE.Vector4() },
        size: { value: new THREE.Vector2(columns, rows) }, half_height: { value: 1 },
      },
    });
    this.points = new THREE.Points(geometry, material);
    this.points.frustumCulled = false;
    this.scene.add(this.points);
    [this.columns, this.rows] = [columns, rows];
  }

  /** Fills in the depth to draw: meters, or for relative depth a plausible shape without a unit. */
  fillDepth(result) {
    const isMetric = result.header.kind === "metric";
    const table = isMetric
      ? Float32Array.from({ length: 4096 }, (_, code) => result.low + (code - 1) * result.step)
      : nearness(result).map((near) => 1 / (1 / RELATIVE_DEPTH_RATIO + near * (1 - 1 / RELATIVE_DEPTH_RATIO)));
    table[0] = 0;
    let nearest = Infinity, farthest = 0;
    for (let i = 0; i < this.values.length; i++) {
      const z = (this.values[i] = table[result.codes[i]]);
      if (z > 0) { nearest = Math.min(nearest, z); farthest = Math.max(farthest, z); }
    }
    this.depthRange = [nearest, farthest];
    this.points.material.uniforms.depth.value.needsUpdate = true;
  }

  /** Places the virtual eye beside the camera, with the camera's field of view. */
  placeEye() {
    this.eye.fov = (Math.atan(0.5 / this.points.material.uniforms.camera.value.y) * 360) / Math.PI;
    const [nearest, farthest] = Number.isFinite(this.depthRange[0]) ? this.depthRange : [1, 4];
    const middle = Math.min(Math.sqrt(nearest * farthest), 2.5 * nearest);
    this.orbit.target.set(0, 0, -middle);
    this.eye.position.set(0.2 * middle, 0.12 * middle, 0.06 * middle);
    this.orbit.update();
    this.isEyePlaced = true;
  }

  /** Places the eye anew with the next result, which comes from another camera. */
  resetEye() {
    this.isEyePlaced = false;
  }

  render() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !this.points || this.session) return; // a headset asks for its pictures at its own rate
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.setSize(width, height, false);
    this.eye.aspect = width / height;
    this.eye.updateProjectionMatrix();
    this.points.material.uniforms.half_height.value = (height * this.renderer.getPixelRatio()) / 2;
    this.renderer.render(this.scene, this.eye);
  }

  /** True if this browser has a headset to show the points in. */
  static async hasHeadset() {
    return Boolean(await navigator.xr?.isSessionSupported("immersive-vr").catch(() => false));
  }

  /** Shows the points in a headset, as seen from the camera's place, until the user leaves. Throws if there is none. */
  async enterHeadset() {
    const session = await navigator.xr.requestSession("immersive-vr");
    const { renderer, orbit } = this;
    session.addEventListener("end", () => {
      renderer.setAnimationLoop(null);
      renderer.xr.enabled = false;
      orbit.enabled = true;
      this.session = null;
      this.placeEye();
      this.render();
    });
    renderer.xr.enabled = true;
    renderer.xr.setReferenceSpaceType("local"); // where the head is now, which becomes the camera's place
    await renderer.xr.setSession(session);
    orbit.enabled = false;
    this.session = session;
    renderer.setAnimationLoop(() => this.renderInHeadset());
  }

  renderInHeadset() {
    if (!this.points) return;
    const viewport = this.renderer.xr.getCamera().cameras[0]?.viewport;
    if (viewport) this.points.material.uniforms.half_height.value = viewport.w / 2;
    this.renderer.render(this.scene, this.eye);
  }
}

function prepareTexture(texture) {
  texture.colorSpace = THREE.NoColorSpace;
  texture.generateMipmaps = false;
  texture.minFilter = THREE.LinearFilter;
  texture.needsUpdate = true;
  return texture;
}

function defaultIntrinsics({ width, height }) {
  const f = 0.5 / Math.tan((DEFAULT_FOV * Math.PI) / 360);
  return [f, (f * width) / height, 0.5, 0.5];
}
